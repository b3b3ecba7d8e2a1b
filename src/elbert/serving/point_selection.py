"""The policy of a request: the one it names, or the operating point in force, which follows the load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from elbert.bundle import OperatingPoint
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.exits import Policy

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


KEPT_SPECS = 256
MEMORY = 0.02  # the weight of the latest exit in the running mean depth


@dataclass(frozen=True)
class Chosen:
    """A policy, by the name of its operating point, or its spec where it has none."""

    name: str
    policy: Policy


class Points:
    """The operating point in force, and those that callers name.

    ``base`` is a name or a spec; unsaid, the classifier's own policy. With ``fastest`` the point moves between the two
    with the queue's delay.

    Raises:
        PolicyError, InputError: a name or a spec is unknown, or what adaptive depth needs was not measured.
    """

    def __init__(
        self,
        classifier: Classifier,
        clock: Callable[[], float],
        base: str | None = None,
        fastest: str | None = None,
        target_delay: float = 0.1,
    ) -> None:
        self._classifier = classifier
        self._read = lru_cache(KEPT_SPECS)(classifier.usable)  # one object a policy: rows are compared by it
        self._means: dict[str, float] = {}
        own = _name_of(classifier) if base is None else base.strip()
        names = [own] if fastest is None else ladder(classifier.bundle.points, own, fastest)
        self.ladder = tuple(Chosen(name, self._read(name)) for name in names)
        self._adaptive = Adaptive(len(self.ladder), clock, target=target_delay)

    @property
    def in_force(self) -> Chosen:
        """The point for requests that name none."""
        return self.ladder[self._adaptive.level]

    def told(self) -> dict[str, Any]:
        """The point in force, those that load may lead to, and those that there are, as plain values."""
        return {
            "operating_point": self.in_force.name,
            "policy": str(self.in_force.policy),
            "adaptive": [chosen.name for chosen in self.ladder],
            "operating_points": {name: str(p.policy) for name, p in self._classifier.bundle.points.items()},
        }

    def observe(self, delay: float) -> bool:
        """The queue's delay in seconds; whether the point in force changed."""
        before = self._adaptive.level
        return self._adaptive.observe(delay) != before

    def choose(self, asked: str | None) -> Chosen:
        """The policy of a request.

        Raises:
            PolicyError, InputError: it cannot be read, or the model cannot follow it.
        """
        if asked is None:
            return self.in_force
        policy = self._read(asked)
        name = asked.strip()
        return Chosen(name if name in self._classifier.bundle.points else str(policy), policy)

    def expected_depth(self, chosen: Chosen) -> float:
        """How deep a text goes on average: as measured when the point was calibrated, or here, or at worst all."""
        point = self._classifier.bundle.points.get(chosen.name)
        measured = None if point is None else mean_depth(point)
        if measured is not None:
            return min(measured, self._classifier.depths)
        return self._means.get(chosen.name, float(self._classifier.depths))

    def exited(self, name: str, depth: int) -> None:
        """A text left there under the policy of that name."""
        if name not in self._means and len(self._means) >= KEPT_SPECS:
            self._means.pop(next(iter(self._means)))
        mean = self._means.get(name, float(self._classifier.depths))
        self._means[name] = mean + MEMORY * (depth - mean)


def _name_of(classifier: Classifier) -> str:
    """The name of the point whose policy the classifier follows, its default first, or that policy's spec."""
    points = classifier.bundle.points
    default = [classifier.bundle.default] if classifier.bundle.default else []
    named = [name for name in [*default, *points] if points[name].policy == classifier.policy]
    return named[0] if named else str(classifier.policy)
