"""Sweep: the grids of policies, replayed over the same saved outputs, and the best policy at every cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.errors import InputError
from elbert.evaluation.metrics import right
from elbert.evaluation.outputs import Outputs
from elbert.exits import Depth, Full, Policy, Replay, Tempered, Window
from elbert.exits.policies import (
    AGREE,
    STABLE,
    TREND,
    Confidence,
    Divergence,
    Entropy,
    Gap,
    Patience,
    PatientConfidence,
)

MARGINS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45)
RANGES = (0.01, 0.02, 0.05, 0.1, 0.2)

Grid = Callable[[int], Iterable[Policy]]


def families(depths: int, names: Sequence[str] | None = None) -> dict[str, list[Policy]]:
    """Policies by family for a model of so many depths; all families, or those named.

    Every family holds ``depth(1)`` and ``full``: whoever may choose its dials may also choose these, and a curve
    that began later or ended earlier than others would be compared with them over another range.

    Raises:
        InputError: no family is called so.
    """
    wanted = list(FAMILIES) if names is None else list(names)
    unknown = [name for name in wanted if name not in FAMILIES]
    if unknown:
        raise InputError(f"no family of policies is called {unknown[0]!r}; expected some of {', '.join(FAMILIES)}")
    return {name: [Full(), Depth(1), *FAMILIES[name](depths)] for name in wanted}


def tempered(policies: Sequence[Policy], temperatures: tuple[float, ...]) -> list[Policy]:
    """The same policies, hearing every depth at its temperature."""
    return [Tempered(policy, temperatures) if policy.signals else policy for policy in policies]


def thresholds(count: int) -> list[float]:
    """From 0 to 1: even above 0.05, even in the logarithm below, where sure classifiers live."""
    few = count // 3
    values = [*np.geomspace(1e-4, 0.05, few, endpoint=False), *np.linspace(0.05, 1, count - few)]
    return [float(f"{v:.3g}") for v in values]


def near_one(count: int) -> list[float]:
    """The same, dense below 1."""
    return [float(f"{1 - t:.6g}") for t in thresholds(count)]


def _windows(depths: int, rule: str, ranges: Sequence[float] = (0.05,)) -> Iterable[Policy]:
    for entropy, size, margin, reach in product(thresholds(45), range(2, depths + 1), MARGINS, ranges):
        yield Window(entropy=entropy, size=size, rule=rule, margin=margin, range=reach)


def _patient_confidences(depths: int) -> Iterable[Policy]:
    return (PatientConfidence(t, e) for t, e in product(range(1, depths), thresholds(90)))


def _divergences(depths: int) -> Iterable[Policy]:
    steps = [float(f"{d:.3g}") for d in np.geomspace(1e-6, math.log(2) * 0.99, 90)]
    return (Divergence(t, d) for t, d in product(range(1, max(depths - 1, 2)), steps))


def _entropy_or_patience(depths: int) -> Iterable[Policy]:
    return (Entropy(e) | Patience(t) for e, t in product(thresholds(90), range(1, depths)))


def gap_or_window(depths: int, gaps: Sequence[float]) -> Iterable[Policy]:
    """ELBERT's window with the gap as its first stage: the same test at two classes, a better one at many.

    Over C classes the normalised entropy counts how many others share what the answer left, which over 150 classes
    says little of whether the answer is right; the gap asks only how far off the second is.
    """
    return (Gap(g) | Window(entropy=0.0, size=size) for g, size in product(gaps, range(2, depths + 1)))


FAMILIES: dict[str, Grid] = {
    "window": lambda depths: _windows(depths, AGREE),
    "window trend": lambda depths: _windows(depths, TREND),
    "window stable": lambda depths: _windows(depths, STABLE, RANGES),
    "entropy": lambda depths: map(Entropy, thresholds(300)),
    "confidence": lambda depths: map(Confidence, near_one(300)),
    "gap": lambda depths: map(Gap, near_one(300)),
    "patience": lambda depths: map(Patience, range(depths)),
    "patient_confidence": _patient_confidences,
    "divergence": _divergences,
    "entropy | patience": _entropy_or_patience,
    "gap | window": lambda depths: gap_or_window(depths, near_one(90)),
    "depth": lambda depths: map(Depth, range(2, depths)),
}


Scores = NDArray[np.float64]
SLACK = 0.05  # of the cost, above or below
SPEEDUPS = (1.5, 2.0, 3.0, 4.0, 6.0, 10.0)


@dataclass(frozen=True)
class Swept:
    """Policies on the same outputs: ``mean_depth`` and ``accuracy`` are ``[policies]``."""

    policies: Sequence[Policy]
    mean_depth: Scores
    accuracy: Scores
    depths: int

    @cached_property
    def front(self) -> list[int]:
        """The policies that no other beats in both, cheapest first."""
        return front(self.mean_depth, self.accuracy)

    def at(self, speedup: float) -> int | None:
        """The most accurate policy of at least that layer speed-up, of equals the cheapest; None if there is none."""
        # A ratio of whole numbers must not fail by its last bit.
        usable = [i for i in self.front if self.mean_depth[i] <= self.depths / speedup * (1 + 1e-9)]
        return usable[-1] if usable else None

    def near(self, speedup: float) -> int | None:
        """The most accurate policy that costs about as much as that layer speed-up allows; None where there is none.

        For comparisons at equal cost: :meth:`at` may answer with a policy far cheaper, and as far less accurate on
        other texts, because it looked good on these. Of equals the deepest.
        """
        most = self.depths / speedup
        close = np.flatnonzero((self.mean_depth <= most * (1 + SLACK)) & (self.mean_depth >= most * (1 - SLACK)))
        if not len(close):
            return self.at(speedup)
        return int(max(close, key=lambda i: (self.accuracy[i], self.mean_depth[i])))

    def within(self, accuracy: float) -> int:
        """The cheapest policy of at least that accuracy.

        Raises:
            InputError: none reaches it.
        """
        usable = [i for i in self.front if self.accuracy[i] >= accuracy - 1e-12]
        if not usable:
            raise InputError(f"no policy reaches an accuracy of {accuracy:.4f} here; ask for less")
        return usable[0]

    @property
    def area(self) -> float:
        """The mean over all costs from depth 1 to the last of the best accuracy at no more than that cost."""
        front = self.front
        edges = np.append(np.clip(self.mean_depth[front], 1, self.depths), self.depths)
        span = self.depths - edges[0]
        if span <= 0:
            return float(self.accuracy[front[-1]])
        return float((np.diff(edges) * self.accuracy[front]).sum() / span)


class Trials:
    """Saved outputs on which policies are tried: where rows leave, and whether their answer there is right."""

    def __init__(self, outputs: Outputs) -> None:
        if outputs.problem == "regression":
            raise InputError("these are outputs of a regression, which has no exits: no policy can be chosen for it")
        self.outputs = outputs
        self.replay = Replay(outputs.probabilities, multi_label=outputs.multi_label)
        self.right = right(outputs)
        self._rows = np.arange(len(outputs)) * outputs.depths - 1

    def depth(self, policy: Policy) -> NDArray[np.int16]:
        """``[n]``: exit depths."""
        return self.replay.exits(policy)

    def correct(self, policy: Policy) -> NDArray[np.bool_]:
        """``[n]``: whether the answer where the row leaves is the label."""
        return self.look_up(self.right, self.depth(policy))

    def look_up(self, by_depth: NDArray[Any], depth: NDArray[np.int16]) -> NDArray[Any]:
        """``[n]``: the value of ``by_depth [n, depths]`` at each row's depth."""
        return by_depth.ravel().take(self._rows + depth)

    def sweep(self, policies: Sequence[Policy]) -> Swept:
        """Mean depth and accuracy of every policy."""
        found = np.array(list(self._scores(policies))).reshape(-1, 2)
        return Swept(policies, found[:, 0], found[:, 1], self.outputs.depths)

    def _scores(self, policies: Sequence[Policy]) -> Iterator[tuple[float, float]]:
        for policy in policies:
            depth = self.depth(policy)
            yield float(depth.mean()), float(self.look_up(self.right, depth).mean())


def sweep(outputs: Outputs, families: Mapping[str, Sequence[Policy]]) -> dict[str, Swept]:
    """Every family over the same outputs; a rule that several policies hold is tried once.

    Raises:
        InputError: they are outputs of a regression.
    """
    exits = Trials(outputs)
    return {name: exits.sweep(policies) for name, policies in families.items()}


def front(cost: Scores, gain: Scores) -> list[int]:
    """The indices that no other beats in both cost and gain (Pareto), cheapest first."""
    best, kept = -np.inf, []
    for i in np.lexsort((-gain, cost)).tolist():
        if gain[i] > best:
            best = gain[i]
            kept.append(i)
    return kept
