"""Which policy a request runs under: what it asks for, or the operating point in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from elbert.classifier import Classifier
from elbert.exits import Policy
from elbert.serving.adaptive import Adaptive, ladder, mean_depth

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
