"""Adaptive depth: when the queue's delay passes its target, faster operating points, one at a time; and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from elbert.bundle import OperatingPoint
from elbert.errors import InputError

MEASURED_ON = ("test", "validation", "held_out")  # where older files keep their figures, the most honest first


class Adaptive:
    """Which of ``steps`` operating points, 0 the base and each next one faster, should be in force.

    One faster when the delay has been above ``target`` seconds for ``rise`` seconds; one back when it has been below
    ``low`` times the target for ``fall`` seconds. Between the two it stays; a move starts both waits anew. So it
    does not flap: a rise follows any move by ``rise`` at least, a fall by ``fall``, which is longer.
    """

    def __init__(
        self,
        steps: int,
        clock: Callable[[], float],
        *,
        target: float = 0.1,
        rise: float = 0.25,
        fall: float = 5.0,
        low: float = 0.25,
    ) -> None:
        if not (target > 0 and 0 < rise < fall and 0 < low < 1):
            raise InputError(
                f"target delay {target} s, rise {rise} s, fall {fall} s, low {low}: expected target > 0, "
                "0 < rise < fall and low between 0 and 1"
            )
        self.level = 0
        self._last = steps - 1
        self._clock = clock
        self._target, self._low = target, low * target
        self._rise, self._fall = rise, fall
        self._above: float | None = None  # since when
        self._below: float | None = None

    def observe(self, delay: float) -> int:
        """The queue's delay is so many seconds now; the level that follows.

        Where nothing was observed for long, as in an idle server, what was seen last held all the while.
        """
        now = self._clock()
        # Moves that fell due before this moment, while the last observation held.
        while self._below is not None and self.level > 0 and now - self._below >= self._fall:
            self.level -= 1
            self._below += self._fall
            self._above = None
        if self._above is not None and delay > self._target and now - self._above >= self._rise:
            self.level = min(self.level + 1, self._last)
            self._above = now
        self._above = (now if self._above is None else self._above) if delay > self._target else None
        self._below = (now if self._below is None else self._below) if delay < self._low else None
        return self.level


def ladder(points: Mapping[str, OperatingPoint], base: str, fastest: str) -> list[str]:
    """The operating points from ``base`` to ``fastest`` by falling mean depth.

    Raises:
        InputError: there are none of these names, their mean depths were not measured, or ``fastest`` is none faster.
    """
    for name in (base, fastest):
        if name not in points or mean_depth(points[name]) is None:
            known = ", ".join(name for name, point in points.items() if mean_depth(point) is not None) or "none"
            raise InputError(
                f"adaptive depth moves between operating points whose mean depth was measured: {name!r} is none "
                f"(those are: {known}); elbert calibrate makes them"
            )
    depths = {name: depth for name, point in points.items() if (depth := mean_depth(point)) is not None}
    if depths[fastest] > depths[base]:
        raise InputError(
            f"adaptive: {fastest!r} (mean depth {depths[fastest]:.2f}) is slower than {base!r} "
            f"({depths[base]:.2f}); name a faster operating point"
        )
    between = [name for name, depth in depths.items() if depths[fastest] < depth < depths[base]]
    faster = sorted(between, key=depths.__getitem__, reverse=True)
    return [base, *faster, fastest] if fastest != base else [base]


def mean_depth(point: OperatingPoint) -> float | None:
    """The mean depth that was measured of an operating point, if it was."""
    places: list[Any] = [point.measured, *(point.measured.get(name) for name in MEASURED_ON)]
    found = [place["mean_depth"] for place in places if isinstance(place, Mapping) and "mean_depth" in place]
    return float(found[0]) if found and isinstance(found[0], (int, float)) else None
