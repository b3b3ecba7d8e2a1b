"""Closed forms, for a layer call of n rows that costs ``a + b n`` and depths that are drawn alike.

Seconds for ``rows`` texts (a full call's worth), in the long run.
"""

from __future__ import annotations

from collections.abc import Sequence


def mean(depths: Sequence[int]) -> float:
    """E[D]."""
    return sum(depths) / len(depths)


def mean_of_slowest(depths: Sequence[int], rows: int) -> float:
    """E[max D] over ``rows`` texts drawn from ``depths``, with replacement."""
    shares = (sum(depth <= d for depth in depths) / len(depths) for d in range(max(depths)))
    return sum(1 - share**rows for share in shares)


def refill(a: float, b: float, rows: int, depths: Sequence[int]) -> float:
    """Every free place is taken at once: ``(a + bB) E[D]``."""
    return (a + b * rows) * mean(depths)


def shrink(a: float, b: float, rows: int, depths: Sequence[int]) -> float:
    """Places stay empty: ``a E[max D] + b B E[D]``."""
    return a * mean_of_slowest(depths, rows) + b * rows * mean(depths)


def wait(a: float, b: float, rows: int, depths: Sequence[int]) -> float:
    """The slowest row decides: ``(a + bB) E[max D]``."""
    return (a + b * rows) * mean_of_slowest(depths, rows)
