"""The highest rate at which a server keeps a limit of its 99th percentile, with enough answers behind it.

A 99th percentile of 400 answers is the fourth worst of them; of 20,000 it is the two-hundredth, and the next run finds
nearly the same. Arrivals are a Poisson process, as in the server scenario of MLPerf, whose limit for BERT is 130 ms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from serving_peers.figures import COMMON, quantile

ANSWERS = 20_000  # behind a percentile that is quoted
MLPERF = 130.0  # ms
LIMITS = (COMMON, MLPERF)
STEP = 1.1  # from one rate to the next
MOST_STEPS = 60  # in either direction
SLICE = 10.0  # seconds of load between looks at what has come of it
WARM_UP = 1.0  # seconds at the beginning of a slice that do not count: the server is idle before
OVER = 0.01  # share of answers beyond a 99th percentile

Load = Callable[[float, float, int], Sequence[tuple[float, float, float, int]]]
"""Rate, seconds and seed to answers: when each was due, sent and received, in seconds, and its status."""


@dataclass
class Sample:
    """What became of the requests at one rate; latencies in ms from the moment at which a request was due."""

    rate: float
    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def add(self, answers: Sequence[tuple[float, float, float, int]]) -> None:
        """Count a slice, without its beginning."""
        for due, _, received, status in answers:
            if due < WARM_UP:
                continue
            if status == 200:
                self.latencies.append(1e3 * (received - due))
            else:
                self.failed += 1

    @property
    def answers(self) -> int:
        """Requests counted, answered or not."""
        return len(self.latencies) + self.failed

    def beyond(self, limit: float) -> int:
        """Requests that were answered later than the limit, or not."""
        return self.failed + sum(latency > limit for latency in self.latencies)

    def keeps(self, limit: float) -> bool:
        """Whether 99 % of the requests were answered within the limit."""
        return self.beyond(limit) <= OVER * self.answers

    def to_dict(self) -> dict[str, Any]:
        """Figures of the sample; a percentile with the number of answers behind it."""
        ordered = sorted(self.latencies)
        return {
            "rate": self.rate,
            "answers": self.answers,
            "p50_ms": quantile(ordered, 0.5),
            "p99_ms": quantile(ordered, 0.99),
            "failed": self.failed,
        }


def sample(load: Load, rate: float, answers: int, limits: Sequence[float] = ()) -> Sample:
    """Load a server until there are so many answers, or every one of ``limits`` is missed for certain."""
    found, seed = Sample(rate), 0
    seconds = min(SLICE, WARM_UP + answers / rate)
    while found.answers < answers:
        before = found.answers
        found.add(load(rate, seconds, seed))
        seed += 1
        if limits and all(found.beyond(limit) > OVER * answers for limit in limits):
            break
        if found.answers == before:
            seconds *= 2  # a rate so low that nothing was due
    return found


def highest_rates(load: Load, guess: float, answers: int, limits: Sequence[float] = LIMITS) -> dict[float, Any]:
    """For each limit: the highest rate that keeps it, and the next one, which does not.

    Rates are ``guess`` times a power of :data:`STEP`. ``keeps`` is None where no rate that was tried keeps the limit,
    ``misses`` where all do.
    """

    @cache
    def at(step: int) -> Sample:
        return sample(load, guess * STEP**step, answers, limits)

    found = {}
    for limit in limits:
        step = 0
        while step < MOST_STEPS and at(step).keeps(limit):
            step += 1
        while step > -MOST_STEPS and not at(step - 1).keeps(limit):
            step -= 1
        below, above = at(step - 1), at(step)
        found[limit] = {
            "keeps": below.to_dict() if below.keeps(limit) else None,
            "misses": None if above.keeps(limit) else above.to_dict(),
        }
    return found


def guess_rate(sustained: float, capacity: float) -> float:
    """Where to begin: what short rounds found, or half of the capacity."""
    return sustained if math.isfinite(sustained) and sustained > 0 else capacity / 2


def print_limits(row: dict[str, Any]) -> None:
    """A contestant's lines."""
    print(f"{row['name']}:")
    for limit, found in row["limits"].items():
        for verb in ("keeps", "misses"):
            if at := found[verb]:
                print(
                    f"  p99 at most {limit:.0f} ms: {verb:6} at {at['rate']:6.0f}/s: p50 {at['p50_ms']:6.1f} ms, "
                    f"p99 {at['p99_ms']:6.1f} ms of {at['answers']:,} answers"
                )
    if at := row.get("eighty"):
        print(f"  80 % of capacity, {at['rate']:.0f}/s: p50 {at['p50_ms']:.1f} ms, p99 {at['p99_ms']:.1f} ms")
