"""Operating points: named policies with what was measured of them, kept in ``exits.json`` beside the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elbert._atomic import replaced
from elbert.bundle.certificate import Certificate, Conditions, told
from elbert.errors import BundleError, InputError, PolicyError
from elbert.exits import POLICIES, Policy
from elbert.exits import policy as read_policy

EXITS_FILE = "exits.json"
VERSION = 1
LONGEST_NAME = 64


@dataclass(frozen=True)
class OperatingPoint:
    """A named policy with what was measured of it, what is promised of it, and what both hold for."""

    policy: Policy
    measured: Mapping[str, Any] = field(default_factory=dict)
    certificate: Certificate | None = None
    conditions: Conditions | None = None


def read_points(file: Path) -> tuple[dict[str, OperatingPoint], str | None]:
    """``(operating points by name, the default's name)``; none where the file is absent.

    Raises:
        BundleError: the file is there and cannot be used.
    """
    if not file.exists():
        return {}, None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values["version"] != VERSION:  # first: a later version may be built in any way
            raise BundleError(
                f"{file}: version {values['version']!r}, this release reads {VERSION}; calibrate again or update elbert"
            )
        points = {name: point_of(point) for name, point in values["points"].items()}
    except PolicyError as error:
        raise BundleError(f"{file}: {error}; correct it there, or calibrate again") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{file}: not readable as operating points ({error!r}); calibrate again or remove it"
        ) from error
    default = values.get("default")
    if default is not None and default not in list(points):
        raise BundleError(
            f"{file}: the default {default!r} is none of its points ({', '.join(points)}); name one of them, or null"
        )
    return points, default


def read_precisions(file: Path) -> dict[str, Mapping[str, Any]]:
    """The precisions whose accuracy was checked on this model, with what was measured; none where nobody did.

    Raises:
        BundleError: the file is there and they cannot be read.
    """
    if not file.exists():
        return {}
    found = json.loads(file.read_text(encoding="utf-8")).get("precisions", {})
    if not isinstance(found, dict) or not all(isinstance(measured, dict) for measured in found.values()):
        raise BundleError(f"{file}: precisions is {found!r:.80}, expected what was measured by precision; remove it")
    return found


def check_name(name: str) -> str:
    """The name, if an operating point may be called so.

    Raises:
        InputError: it is empty, too long, unprintable, or a policy's, which it would hide.
    """
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise InputError(
            f"an operating point's name is one line of 1 to {LONGEST_NAME} characters; this is {name!r:.80}"
        )
    try:
        read_policy(name)
    except PolicyError as error:
        if name.split("(")[0].strip() not in POLICIES:
            return name
        raise InputError(f"{name!r} reads like a policy, and would be taken for one; choose another name") from error
    raise InputError(f"{name!r} is a policy, which an operating point of that name would hide; choose another name")


def point_of(values: Mapping[str, Any]) -> OperatingPoint:
    """An operating point from its entry in the file."""
    certificate, conditions = values.get("certificate"), values.get("conditions")
    return OperatingPoint(
        read_policy(values["policy"]),
        dict(values.get("measured", {})),
        None if certificate is None else Certificate.of(certificate),
        None if conditions is None else Conditions.of(conditions),
    )


def entry_of(point: OperatingPoint) -> dict[str, Any]:
    """The entry of an operating point in the file."""
    entry: dict[str, Any] = {"policy": str(point.policy), "measured": dict(point.measured)}
    if point.certificate is not None:
        entry["certificate"] = told(point.certificate)
    if point.conditions is not None:
        entry["conditions"] = told(point.conditions)
    return entry


def write_points(file: Path, points: Mapping[str, OperatingPoint], default: str | None) -> None:
    """Write ``exits.json`` whole or not at all; what is known of precisions stays."""
    _write(file, points, default, read_precisions(file))


def write_precisions(file: Path, precisions: Mapping[str, Mapping[str, Any]]) -> None:
    """Note the precisions whose accuracy was checked, with what was measured; the operating points stay."""
    _write(file, *read_points(file), precisions)


def _write(
    file: Path,
    points: Mapping[str, OperatingPoint],
    default: str | None,
    precisions: Mapping[str, Mapping[str, Any]],
) -> None:
    values = {
        "version": VERSION,
        "default": default,
        "points": {name: entry_of(point) for name, point in points.items()},
        "precisions": {name: dict(measured) for name, measured in precisions.items()},
    }
    with replaced(file) as out:
        out.write(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
