"""Made-up work: lengths, exits, arrivals."""

from __future__ import annotations

import random
from math import log


def skewed(number: int, seed: int = 0, median: float = 18.0, spread: float = 0.8, longest: int = 256) -> list[int]:
    """Lengths in tokens, log-normal: most texts short, a few long."""
    draw = random.Random(seed)
    return [min(longest, max(4, round(draw.lognormvariate(log(median), spread)))) for _ in range(number)]


def all_or_nothing(mean: float, deepest: int, number: int = 97) -> list[int]:
    """As many texts as that mean allows exit at depth 1, and all others at the last."""
    late = round(number * (mean - 1) / (deepest - 1))
    depths = [deepest] * late + [1] * (number - late)
    random.Random(0).shuffle(depths)
    return depths


def poisson(number: int, rate: float, seed: int = 0) -> list[float]:
    """When texts come that know nothing of each other."""
    draw, moment, moments = random.Random(seed), 0.0, list[float]()
    for _ in range(number):
        moment += draw.expovariate(rate)
        moments.append(moment)
    return moments
