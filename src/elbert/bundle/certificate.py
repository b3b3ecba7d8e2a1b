"""Certificates: a statistical bound on an operating point's loss, and the conditions under which it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


class ConditionsWarning(UserWarning):
    """An operating point is used under other conditions than those of its measurement or certificate."""


@dataclass(frozen=True)
class Certificate:
    """With probability 1 - ``error`` over the draw of ``n`` texts, the mean ``loss`` of the policy is at most ``risk``.

    ``flips`` of them had a loss (in the worst of the precisions that it covers); ``p_value`` is P(Bin(n, risk) <=
    flips). Values have a loss where they differ from full depth by more than ``tolerance``, lists where their ``top``
    highest texts do. With ``long``, texts are read so, and full depth is that of all their windows. It holds for texts,
    or lists, from the same distribution, on average, and under the operating point's conditions.
    """

    loss: str
    risk: float
    error: float
    n: int
    flips: int
    p_value: float
    tolerance: float | None = None
    top: int | None = None
    long: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Certificate:
        """Read a certificate from its entry in ``exits.json``.

        Raises:
            KeyError, TypeError, ValueError: a value is missing or has a wrong type.
        """
        kinds = {"loss": str, "risk": float, "error": float, "n": int, "flips": int, "p_value": float}
        tolerance, top, long = (values.get(name) for name in ("tolerance", "top", "long"))
        return cls(
            **{name: kind(values[name]) for name, kind in kinds.items()},
            tolerance=None if tolerance is None else float(tolerance),
            top=None if top is None else int(top),
            long=None if long is None else str(long),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the entry in ``exits.json``."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        what, units = describe_tolerance(self.tolerance), "texts"
        if self.top is not None:
            what, units = f" (another top {self.top} than at full depth, or another order)", "lists"
        if self.long is not None:
            what += f", of long texts read as {self.long} against all windows at full depth,"
        return (
            f"{self.loss}{what} at most {self.risk:.2%} with probability {1 - self.error:.0%} "
            f"({self.flips} of {self.n:,} calibration {units}, p = {self.p_value:.3g})"
        )


def describe_tolerance(tolerance: float | None) -> str:
    """What a loss of values is, to follow its name."""
    return "" if tolerance is None else f" (more than {tolerance:g} from the value of full depth)"


@dataclass(frozen=True)
class Conditions:
    """The conditions under which an operating point was measured and certified.

    weights: SHA-256 of the weights file; dtypes: precisions; max_length: tokens; data: SHA-256 of the data file;
    made: ISO date of the measurement; long: how texts longer than the model were read; seen: the share of the texts
    that the model was trained or validated on, 0 where it is not notable
    """

    weights: str
    dtypes: tuple[str, ...]
    max_length: int
    data: str
    made: str
    long: str = "cut"
    seen: float = 0.0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Conditions:
        """Read conditions from their entry in ``exits.json``.

        Raises:
            KeyError, TypeError, ValueError: a value is missing or has a wrong type.
        """
        strings = {name: str(values[name]) for name in ("weights", "data", "made")}
        strings["long"] = str(values.get("long", cls.long))
        seen = float(values.get("seen", cls.seen))
        return cls(dtypes=tuple(map(str, values["dtypes"])), max_length=int(values["max_length"]), **strings, seen=seen)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry in ``exits.json``."""
        return {name: value for name, value in asdict(self).items() if name != "seen" or value}

    def describe_seen(self) -> str:
        """On which seen texts the point was measured, to follow a verb."""
        return f"on texts of which the model was trained or validated on {self.seen:.0%}"

    def describe_differences(self, weights: str, dtype: str, max_length: int, long: str | None = None) -> list[str]:
        """Describe each condition that differs from the current one, or from unseen texts; empty if all are met.

        ``long`` is how long texts are read; None where that is not known yet.
        """
        found = []
        if weights != self.weights:
            found.append(f"with other weights (SHA-256 {self.weights[:12]}…, here {weights[:12]}…)")
        if dtype not in self.dtypes:
            found.append(f"in {' and '.join(self.dtypes)} (here {dtype})")
        if max_length != self.max_length:
            found.append(f"with texts of at most {self.max_length} tokens (here {max_length})")
        if long is not None and long != self.long:
            found.append(f"with long texts read as {self.long} (here {long})")
        if self.seen:
            found.append(self.describe_seen())
        return found


def files_hash(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the concatenated files as hexadecimal digits."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            hashlib.file_digest(opened, lambda: digest)
    return digest.hexdigest()
