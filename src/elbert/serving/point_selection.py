"""Operating points in a server: the policy that a request names, or the default, which can follow the load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from elbert.bundle import OperatingPoint
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.exits import Policy

CACHED_SPECS = 256
LATEST_WEIGHT = 0.02  # weight of the latest exit in the running mean depth


@dataclass(frozen=True)
class PolicyChoice:
    """A policy, and the name of its operating point, or its spec if it has none."""

    name: str
    policy: Policy


class PointSelector:
    """Chooses the policy of each request.

    ``base`` is the default, an operating point or a policy spec (None: the classifier's own policy). With ``fastest``,
    the default moves between the two with the queue's delay.

    Raises:
        PolicyError, InputError: a name or a spec is unknown, or an operating point has no measured mean depth.
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
        self._depths = classifier.depths
        # The cache returns one object for equal specs: rows are grouped by the identity of their policy.
        self._parse = lru_cache(CACHED_SPECS)(classifier.resolve_policy)
        self._mean_depths: dict[str, float] = {}
        own = _own_point(classifier) if base is None else base.strip()
        names = [own] if fastest is None else order_points(classifier.bundle.text_points, own, fastest)
        self.choices = tuple(PolicyChoice(name, self._parse(name)) for name in names)
        self._level = AdaptiveLevel(len(self.choices), clock, target=target_delay)

    @property
    def current(self) -> PolicyChoice:
        """The default now, for requests that name no policy."""
        return self.choices[self._level.level]

    def to_dict(self) -> dict[str, Any]:
        """The current default, the points that load can lead to, and all points, as plain values."""
        return {
            "operating_point": self.current.name,
            "policy": str(self.current.policy),
            "adaptive": [choice.name for choice in self.choices],
            "operating_points": {name: str(p.policy) for name, p in self._classifier.bundle.points.items()},
        }

    def update(self, delay: float) -> bool:
        """Adapt to the queue's delay in seconds; return whether the default changed."""
        before = self._level.level
        return self._level.update(delay) != before

    def choose(self, spec: str | None, *, is_ranked: bool = False) -> PolicyChoice:
        """The policy of a request; ``spec`` is an operating point, a policy spec, or None for the default.

        ``is_ranked``: its texts are ranked, and a policy may compare their scores.

        Raises:
            PolicyError, InputError: the spec is invalid, or the model does not support the policy.
        """
        if spec is None:
            return self.current
        policy = self._parse(spec, is_ranked=is_ranked)
        name = spec.strip()
        return PolicyChoice(name if name in self._classifier.bundle.points else str(policy), policy)

    def expected_depth(self, choice: PolicyChoice) -> float:
        """The mean exit depth: as calibration measured it, else as observed here, else the number of layers."""
        point = self._classifier.bundle.points.get(choice.name)
        measured = None if point is None else measured_depth(point)
        if measured is not None:
            return min(measured, self._depths)
        return self._mean_depths.get(choice.name, float(self._depths))

    def record_exit(self, name: str, depth: int) -> None:
        """Include an exit in the running mean depth of a policy."""
        if name not in self._mean_depths and len(self._mean_depths) >= CACHED_SPECS:
            self._mean_depths.pop(next(iter(self._mean_depths)))  # the oldest: clients can send any number of specs
        mean = self._mean_depths.get(name, float(self._depths))
        self._mean_depths[name] = mean + LATEST_WEIGHT * (depth - mean)


def _own_point(classifier: Classifier) -> str:
    """The operating point with the classifier's own policy, the bundle's default first; else the policy's spec."""
    points = classifier.bundle.points
    default = [classifier.bundle.default] if classifier.bundle.default else []
    names = [name for name in [*default, *points] if points[name].policy == classifier.policy]
    return names[0] if names else str(classifier.policy)


MEASUREMENTS = ("test", "validation", "held_out")  # where older files keep their figures, the most reliable first


def measured_depth(point: OperatingPoint) -> float | None:
    """The mean depth that was measured when an operating point was calibrated, if any."""
    places: list[Any] = [point.measured, *(point.measured.get(name) for name in MEASUREMENTS)]
    found = [place["mean_depth"] for place in places if isinstance(place, Mapping) and "mean_depth" in place]
    return float(found[0]) if found and isinstance(found[0], (int, float)) else None


def order_points(points: Mapping[str, OperatingPoint], base: str, fastest: str) -> list[str]:
    """The operating points from ``base`` to ``fastest``, in order of falling mean depth.

    Raises:
        InputError: a point is unknown or has no measured mean depth, or ``fastest`` is slower than ``base``.
    """
    depths = {name: depth for name, point in points.items() if (depth := measured_depth(point)) is not None}
    for name in (base, fastest):
        if name not in depths:
            raise InputError(
                f"adaptive: {name!r} is no operating point with a measured mean depth "
                f"(those are: {', '.join(depths) or 'none'}); run elbert calibrate to make them"
            )
    if depths[fastest] > depths[base]:
        raise InputError(
            f"adaptive: {fastest!r} (mean depth {depths[fastest]:.2f}) is slower than {base!r} "
            f"({depths[base]:.2f}); name a faster operating point"
        )
    between = [name for name, depth in depths.items() if depths[fastest] < depth < depths[base]]
    faster = sorted(between, key=depths.__getitem__, reverse=True)
    return [base, *faster, fastest] if fastest != base else [base]


class AdaptiveLevel:
    """A level from 0 to ``steps`` - 1 that rises with the queue's delay; a higher level is a faster operating point.

    It rises by one after the delay was above ``target`` seconds for ``rise`` seconds, and falls by one after the delay
    was below ``low`` times the target for ``fall`` seconds. A change restarts both timers, so that the level does not
    oscillate: a rise comes at least ``rise`` after any change, a fall at least ``fall``, which is longer.
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
        self._above_since: float | None = None
        self._below_since: float | None = None

    def update(self, delay: float) -> int:
        """Record that the queue's delay is now ``delay`` seconds, and return the level.

        Between two calls the earlier delay counts as unchanged, however long an idle server makes no call.
        """
        now = self._clock()
        # Falls that were due between the last call and this one.
        while self._below_since is not None and self.level > 0 and now - self._below_since >= self._fall:
            self.level -= 1
            self._below_since += self._fall
            self._above_since = None
        if self._above_since is not None and delay > self._target and now - self._above_since >= self._rise:
            self.level = min(self.level + 1, self._last)
            self._above_since = now
        self._above_since = (now if self._above_since is None else self._above_since) if delay > self._target else None
        self._below_since = (now if self._below_since is None else self._below_since) if delay < self._low else None
        return self.level
