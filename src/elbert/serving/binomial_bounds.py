"""Exact bounds on a share from a count of texts (Clopper and Pearson 1934), without scipy."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import exp, lgamma, log, log1p

NEGLIGIBLE = 1e-18  # a term of a sum, relative to the sum


def probability_at_most(k: int, n: int, share: float) -> float:
    """P(X <= k) for X ~ Binomial(n, share), to about 1e-8 of itself for n up to a million."""
    if k < 0:
        return 0.0
    if k >= n or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    if k > n * share:  # sum the shorter tail, whose terms fall from the first one on
        return 1.0 - probability_at_most(n - k - 1, n, 1 - share)
    term = exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(share) + (n - k) * log1p(-share))
    total = 0.0
    while k >= 0 and term > NEGLIGIBLE * total:
        total += term
        term *= k / (n - k + 1) * (1 - share) / share
        k -= 1
    return total


def probability_at_least(k: int, n: int, share: float) -> float:
    """P(X >= k) for X ~ Binomial(n, share)."""
    return probability_at_most(n - k, n, 1 - share)


@lru_cache(1024)  # metrics read the same bounds again and again
def lower_bound(k: int, n: int, error: float) -> float:
    """The share is at least this, with probability 1 - ``error``, if ``k`` of ``n`` texts were counted."""
    return _bisect(lambda share: probability_at_least(k, n, share) < error) if k else 0.0


@lru_cache(1024)
def upper_bound(k: int, n: int, error: float) -> float:
    """The share is at most this, with probability 1 - ``error``, if ``k`` of ``n`` texts were counted."""
    return _bisect(lambda share: probability_at_most(k, n, share) > error) if k < n else 1.0


def _bisect(is_below: Callable[[float], bool]) -> float:
    """The share in [0, 1] up to which a monotone condition is true, to the last bit of a float."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return middle
