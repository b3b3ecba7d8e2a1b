"""Depth against length: do long texts go deeper?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.evaluation.metrics import pearson

BINS = 8


@dataclass(frozen=True, slots=True)
class LengthBin:
    """Texts of ``shortest`` to ``longest`` tokens (both included): how many, and how deep they went on average.

    ``low`` and ``high`` are the quartiles of their depths.
    """

    shortest: int
    longest: int
    texts: int
    mean_depth: float
    low: float
    high: float


def length_bins(lengths: NDArray[np.int64], exits: NDArray[np.int64]) -> tuple[LengthBin, ...]:
    """Bins of about as many texts each; texts of one length share a bin. ``lengths, exits [n]``."""
    cuts = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    number = np.searchsorted(cuts, lengths, side="left")  # a length equal to a cut belongs below it
    return tuple(_bin(lengths[number == index], exits[number == index]) for index in np.unique(number))


def _bin(lengths: NDArray[np.int64], exits: NDArray[np.int64]) -> LengthBin:
    low, high = (float(np.quantile(exits, q)) for q in (0.25, 0.75))
    return LengthBin(int(lengths.min()), int(lengths.max()), len(lengths), float(exits.mean()), low, high)


def rank_correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Spearman's correlation, ties at their mean rank; 0 where one side does not vary."""
    return pearson(_ranks(a), _ranks(b))


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.asarray(np.cumsum(count) - (count - 1) / 2, np.float64)
    return np.asarray(middle[place])
