"""Certificates: what is promised of an operating point, and what the promise holds for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


class ConditionsWarning(UserWarning):
    """An operating point is used under other conditions than those it was measured, or certified, under."""


@dataclass(frozen=True)
class Certificate:
    """With probability 1 - ``error`` over the draw of ``n`` texts, the mean ``loss`` of the policy is at most ``risk``.

    ``flips`` texts of them lost (in the worst of the precisions that it holds for); ``p_value`` is P(Bin(n, risk) <=
    flips). It holds for texts like these, on average over texts, and for the conditions that stand beside it.
    """

    loss: str
    risk: float
    error: float
    n: int
    flips: int
    p_value: float

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Certificate:
        """From its entry in the file; numbers are held to their types."""
        kinds = {"loss": str, "risk": float, "error": float, "n": int, "flips": int, "p_value": float}
        return cls(**{name: kind(values[name]) for name, kind in kinds.items()})

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.loss} at most {self.risk:.2%} with probability {1 - self.error:.0%} "
            f"({self.flips} of {self.n:,} calibration texts, p = {self.p_value:.3g})"
        )


@dataclass(frozen=True)
class Conditions:
    """What an operating point's figures, and its certificate, were measured with.

    weights: SHA-256 of the weights file; dtypes: precisions; max_length: tokens; data: SHA-256 of the data file;
    made: the day, ISO
    """

    weights: str
    dtypes: tuple[str, ...]
    max_length: int
    data: str
    made: str

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Conditions:
        """From its entry in the file."""
        words = {name: str(values[name]) for name in ("weights", "data", "made")}
        return cls(dtypes=tuple(map(str, values["dtypes"])), max_length=int(values["max_length"]), **words)

    def broken(self, weights: str, dtype: str, max_length: int) -> list[str]:
        """What is different now, in words; nothing where all is as it was."""
        found = []
        if weights != self.weights:
            found.append(f"with other weights (SHA-256 {self.weights[:12]}…, here {weights[:12]}…)")
        if dtype not in self.dtypes:
            found.append(f"in {' and '.join(self.dtypes)} (here {dtype})")
        if max_length != self.max_length:
            found.append(f"with texts of at most {self.max_length} tokens (here {max_length})")
        return found


def told(values: Certificate | Conditions) -> dict[str, Any]:
    """As plain values for the file."""
    return asdict(values)


def files_hash(files: Iterable[Path]) -> str:
    """SHA-256 of files, one after the other, as hexadecimal digits."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            hashlib.file_digest(opened, lambda: digest)
    return digest.hexdigest()
