"""Paired statistics: two policies on the same texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert._optional import require

DRAWS = 10_000
SCORE_DRAWS = 1_000  # of scores that must be computed again for each draw
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE


def mean_interval(values: NDArray[Any], *, confidence: float = CONFIDENCE, draws: int = DRAWS) -> Interval:
    """The mean of ``values [n]`` with its percentile bootstrap interval (Efron); of differences, it is the paired one.

    The values (differences of correctness, depths) take few distinct values, so resampling ``n`` of them is one draw
    from a multinomial distribution.
    """
    distinct, counts = np.unique(values, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(values), counts / len(values), draws)
    means = drawn @ distinct.astype(float) / len(values)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(np.mean(values)), float(low), float(high), confidence)


def compare_scores(
    ours: NDArray[Any],
    theirs: NDArray[Any],
    labels: NDArray[Any],
    score: Callable[[NDArray[Any], NDArray[Any]], float],
    *,
    confidence: float = CONFIDENCE,
    draws: int = SCORE_DRAWS,
) -> tuple[Interval, float]:
    """The difference of two scores of all answers together, such as correlations, over the same texts ``[n, ...]``.

    The interval is a percentile bootstrap over texts (Efron), the two-sided p-value of a randomization test that swaps
    the two answers of a text at random (Noreen 1989).
    """
    random = np.random.default_rng(0)
    difference = score(ours, labels) - score(theirs, labels)
    if np.array_equal(ours, theirs):
        return Interval(0.0, 0.0, 0.0, confidence), 1.0
    drawn, swapped = np.empty(draws), np.empty(draws)
    for i in range(draws):
        rows = random.integers(0, len(labels), len(labels))
        drawn[i] = score(ours[rows], labels[rows]) - score(theirs[rows], labels[rows])
        swap = (random.random(len(labels)) < 0.5).reshape(-1, *[1] * (ours.ndim - 1))
        swapped[i] = score(np.where(swap, theirs, ours), labels) - score(np.where(swap, ours, theirs), labels)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    p = (1 + int((np.abs(swapped) >= abs(difference) - 1e-12).sum())) / (1 + draws)
    return Interval(difference, float(low), float(high), confidence), p


def mcnemar(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    """The p-value of McNemar's exact test, two-sided: is one policy correct where the other is wrong
    more often than the reverse? ``ours, theirs [n]`` is the correctness of each text."""
    return mcnemar_of_counts(int((ours & ~theirs).sum()), int((theirs & ~ours).sum()))


def mcnemar_of_counts(better: int, worse: int) -> float:
    """McNemar's test from the counts of texts where only the first (``better``) or only the second is correct."""
    if not better + worse:
        return 1.0
    return float(require("scipy.stats", "train").binomtest(better, better + worse).pvalue)
