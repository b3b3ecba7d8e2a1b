"""Operating points: named policies with their measurements, stored in ``exits.json`` beside the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elbert._atomic import open_atomic
from elbert.bundle.certificate import Certificate, Conditions
from elbert.errors import BundleError, InputError, PolicyError
from elbert.exits import POLICIES, Policy
from elbert.exits import policy as parse_policy

EXITS_FILE = "exits.json"
VERSION = 1
MAX_NAME_LENGTH = 64


@dataclass(frozen=True)
class OperatingPoint:
    """A policy with its measurements, its certificate, and the conditions under which both hold."""

    policy: Policy
    measured: Mapping[str, Any] = field(default_factory=dict)
    certificate: Certificate | None = None
    conditions: Conditions | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OperatingPoint:
        """Read an operating point from its entry in ``exits.json``.

        Raises:
            KeyError, TypeError, ValueError: a value is missing or has a wrong type.
            PolicyError: the policy cannot be parsed.
        """
        certificate, conditions = values.get("certificate"), values.get("conditions")
        return cls(
            parse_policy(values["policy"]),
            dict(values.get("measured", {})),
            None if certificate is None else Certificate.from_dict(certificate),
            None if conditions is None else Conditions.from_dict(conditions),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the entry in ``exits.json``."""
        entry: dict[str, Any] = {"policy": str(self.policy), "measured": dict(self.measured)}
        if self.certificate is not None:
            entry["certificate"] = self.certificate.to_dict()
        if self.conditions is not None:
            entry["conditions"] = self.conditions.to_dict()
        return entry


def read_points(file: Path) -> tuple[dict[str, OperatingPoint], str | None]:
    """Return ``(operating points by name, the default's name)``; empty and None if there is no file.

    Raises:
        BundleError: the file exists and cannot be used.
    """
    if not file.exists():
        return {}, None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values["version"] != VERSION:  # checked first: a later version may have another structure
            raise BundleError(
                f"{file}: version {values['version']!r}, this release reads {VERSION}; calibrate again or update elbert"
            )
        points = {name: OperatingPoint.from_dict(point) for name, point in values["points"].items()}
    except PolicyError as error:
        raise BundleError(f"{file}: {error}; correct it there, or calibrate again") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{file}: not readable as operating points ({error!r}); calibrate again or remove it"
        ) from error
    default = values.get("default")
    if default is not None and default not in list(points):
        raise BundleError(
            f"{file}: the default {default!r} is not one of its points ({', '.join(points)}); name one of them, or null"
        )
    return points, default


def read_precisions(file: Path) -> dict[str, Mapping[str, Any]]:
    """Return the measurements by precision of this model; empty if there are none.

    Raises:
        BundleError: the file exists and they cannot be read.
    """
    if not file.exists():
        return {}
    found = json.loads(file.read_text(encoding="utf-8")).get("precisions", {})
    if not isinstance(found, dict) or not all(isinstance(measured, dict) for measured in found.values()):
        raise BundleError(
            f"{file}: precisions is {found!r:.80}, expected an object of measurements by precision; remove it"
        )
    return found


def check_point_name(name: str) -> str:
    """Return a valid name of an operating point.

    Raises:
        InputError: the name is empty, too long, not printable, or reads as a policy, which it would hide.
    """
    if not name.strip() or len(name) > MAX_NAME_LENGTH or not name.isprintable() or name != name.strip():
        raise InputError(
            f"an operating point's name is one line of 1 to {MAX_NAME_LENGTH} characters; this is {name!r:.80}"
        )
    try:
        parse_policy(name)
    except PolicyError as error:
        if name.split("(")[0].strip() not in POLICIES:
            return name
        raise InputError(f"{name!r} reads as a policy; choose another name") from error
    raise InputError(f"{name!r} is a policy, which an operating point of that name would hide; choose another name")


def write_points(file: Path, points: Mapping[str, OperatingPoint], default: str | None) -> None:
    """Write ``exits.json`` atomically; its measurements of precisions are kept."""
    _write(file, points, default, read_precisions(file))


def write_precisions(file: Path, precisions: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the measurements by precision into ``exits.json``; its operating points are kept."""
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
        "points": {name: point.to_dict() for name, point in points.items()},
        "precisions": {name: dict(measured) for name, measured in precisions.items()},
    }
    with open_atomic(file) as out:
        out.write(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
