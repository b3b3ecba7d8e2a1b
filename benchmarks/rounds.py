"""Interleaved rounds: the only fair way to compare on a machine whose speed drifts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

PAUSE = 0.05  # seconds between contestants, so that worker threads of the last one sleep when the next one starts


def interleaved(
    contest: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm: bool = True,
    of: Callable[[Sequence[float]], float] = statistics.median,
) -> dict[str, float]:
    """The median seconds of each contestant over ``rounds`` rounds in which each runs once.

    ``of=min`` is for a machine that others use too: what disturbs only adds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contest}
    for number in range(rounds + warm):
        for name, run in contest.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            run()
            if number >= warm:
                seconds[name].append(time.perf_counter() - start)
    return {name: of(taken) for name, taken in seconds.items()}


def repeated(run: Callable[[], object], least: float = 0.2) -> Callable[[], None]:
    """A short run made long enough to be timed: as often as fits into ``least`` seconds, counted once beforehand."""
    run()
    start, times = time.perf_counter(), 0
    while time.perf_counter() - start < least:
        run()
        times += 1

    def several() -> None:
        for _ in range(times):
            run()

    several.times = times  # type: ignore[attr-defined]
    return several
