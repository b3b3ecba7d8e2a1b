"""Operating points: named policies with their measurements, stored in ``exits.json`` beside the weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from elbert._atomic import open_atomic, write_error
from elbert._display import plural
from elbert._model_files import read_json
from elbert.bundle.certificate import Certificate, Conditions
from elbert.errors import BundleError, InputError, PolicyError
from elbert.exits import POLICIES, Policy
from elbert.exits import policy as parse_policy

EXITS_FILE = "exits.json"
VERSION = 1
MAX_NAME_LENGTH = 64
RESERVED = frozenset("|()=,")  # in a name: characters of policies
MAX_POINTS = 1000
REMEDY = "calibrate again or remove it"
LOCK_SECONDS = 30.0


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

    def __repr__(self) -> str:
        """The policy, its measured score and mean depth, and its certificate in one line."""
        measured = self.measured
        score = next((name.removesuffix("_full") for name in measured if name.endswith("_full")), "agreement")
        found = [f"{score} {measured[score]:.4f}"] if isinstance(measured.get(score), float) else []
        if found and isinstance(measured.get(f"{score}_full"), float):
            found[0] += f" ({measured[f'{score}_full']:.4f} at full depth)"
        if isinstance(measured.get("mean_depth"), int | float):
            found.append(f"mean depth {measured['mean_depth']:.2f}")
        if isinstance(measured.get("n"), int):
            found.append(f"measured on {plural(measured['n'], 'list' if 'top' in measured else 'text')}")
        found.append(f"certified {self.certificate}" if self.certificate else "not certified")
        return f"<OperatingPoint {self.policy}: {', '.join(found)}>"

    @property
    def text_certificate(self) -> Certificate | None:
        """The certificate, if it is one of single texts: not of lists."""
        return None if self.certificate is None or self.certificate.top is not None else self.certificate

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
        values = read_json(file, what="operating points", remedy=REMEDY)
        if values["version"] != VERSION:  # checked first: a later version may have another structure
            raise BundleError(
                f"{file}: version {values['version']!r:.80}, this release reads {VERSION}; "
                "calibrate again or update elbert"
            )
        if len(values["points"]) > MAX_POINTS:
            raise BundleError(f"{file}: {len(values['points']):,} points, expected at most {MAX_POINTS:,}; remove some")
        points = {check_point_name(name): OperatingPoint.from_dict(point) for name, point in values["points"].items()}
    except (InputError, PolicyError) as error:
        raise BundleError(f"{file}: {error}; correct it there, or calibrate again") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{file}: not readable as operating points ({repr(error)[:200]}); {REMEDY}") from error
    default = values.get("default")
    if default is not None and default not in list(points):
        raise BundleError(
            f"{file}: the default {default!r:.80} is not one of its points ({', '.join(points):.200}); "
            "name one of them, or null"
        )
    return points, default


def read_precisions(file: Path) -> dict[str, Mapping[str, Any]]:
    """Return the measurements by precision of this model; empty if there are none.

    Raises:
        BundleError: the file exists and they cannot be read.
    """
    if not file.exists():
        return {}
    found = read_json(file, what="operating points", remedy=REMEDY).get("precisions", {})
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
        if name.split("(")[0].strip() not in POLICIES and not set(name) & RESERVED:
            return name
        raise InputError(f"{name!r} reads as a policy; choose another name") from error
    raise InputError(f"{name!r} is a policy, which an operating point of that name would hide; choose another name")


def write_points(file: Path, points: Mapping[str, OperatingPoint], default: str | None) -> None:
    """Write ``exits.json`` atomically with these points only; its measurements of precisions are kept."""
    with _lock(file):
        _write(file, points, default, read_precisions(file))


def add_point(file: Path, name: str, point: OperatingPoint, *, default: bool = False) -> OperatingPoint:
    """Add a point to ``exits.json``, or replace the point of that name; all else in the file is kept.

    The file is read again under a lock: two processes that add points to one folder keep both. If the policy is
    unchanged, earlier measurements that ``point`` does not have are kept. With ``default`` the point becomes the
    default. Returns the point as written.
    """
    with _lock(file):
        points, current = read_points(file)
        earlier = points.get(name)
        if earlier is not None and earlier.policy == point.policy:
            point = replace(point, measured={**earlier.measured, **point.measured})
        _write(file, points | {name: point}, name if default else current, read_precisions(file))
    return point


def write_precisions(file: Path, precisions: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the measurements by precision into ``exits.json``; its operating points are kept."""
    with _lock(file):
        _write(file, *read_points(file), precisions)


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Hold the folder's lock while ``file`` is read, changed and written.

    Raises:
        InputError: the lock file cannot be created, or another process holds the lock for too long.
    """
    lock = FileLock(file.with_name(f".{file.name}.lock"), timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(f"{file}: another process has locked it for {LOCK_SECONDS:.0f} s; try again later") from error
    except OSError as error:
        raise write_error(file, error) from error
    try:
        yield
    finally:
        lock.release()


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
