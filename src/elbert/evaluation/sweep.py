"""Sweep: replay many policies over the same saved outputs and keep the best at every cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product
from operator import or_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.errors import InputError
from elbert.evaluation.outputs import Outputs
from elbert.evaluation.statistics import DRAWS, Interval, compare_scores, mcnemar, mean_interval
from elbert.exits import FULL, POLICIES, Policy, Tempered, fixed_depth
from elbert.exits.policies import list_families
from elbert.exits.rules import Depths, Family, Grid
from elbert.exits.signals import Content


def build_families(
    depths: int, names: Sequence[str] | None = None, content: Content | None = "probabilities"
) -> dict[str, list[Policy]]:
    """The policies of every family, or of the named ones, for a model with ``depths`` depths and such outputs.

    Every family holds the first depth and full depth, so that all curves cover the same range of costs and areas under
    them can be compared.

    Raises:
        InputError: a name is not a family that fits.
    """
    families = list_families(content)
    selected = list(families) if names is None else list(names)
    unknown = [name for name in selected if name not in families]
    if unknown:
        if unknown[0] in list_families():
            raise InputError(f"{unknown[0]!r} does not fit outputs that are {content}; fitting: {', '.join(families)}")
        raise InputError(f"unknown family of policies {unknown[0]!r}; expected some of {', '.join(families)}")
    return {name: [FULL, fixed_depth(1), *expand_family(families[name], depths)] for name in selected}


def expand_family(family: Family, depths: int) -> list[Policy]:
    """The policies of a family for a model with ``depths`` depths."""
    combinations = product(*(expand_grid(grid, depths) for grid in family.grids))
    return [reduce(or_, members) for members in combinations]


def expand_grid(grid: Grid, depths: int) -> Iterable[Policy]:
    """The policies of a grid; the last dial changes first."""
    name, axes = grid
    kind = POLICIES[name]
    values = [
        axis.values(depths) if isinstance(axis, Depths) else axis
        for axis in (axes.get(dial.name, (dial.default,)) for dial in kind.dials)
    ]
    return (kind(*some) for some in product(*values))


def temper_policies(policies: Sequence[Policy], temperatures: tuple[float, ...]) -> list[Policy]:
    """The same policies, reading each depth at its temperature; policies that read no signal stay as they are."""
    return [Tempered(policy, temperatures) if policy.signals else policy for policy in policies]


Scores = NDArray[np.float64]
SLACK = 0.05  # relative difference in cost that counts as equal
SPEEDUPS = (1.5, 2.0, 3.0, 4.0, 6.0, 10.0)


@dataclass(frozen=True)
class SweepResult:
    """The policies of a family on the same outputs: ``mean_depth [policies]``, ``score [policies]``."""

    policies: Sequence[Policy]
    mean_depth: Scores
    score: Scores
    depths: int

    @cached_property
    def front(self) -> list[int]:
        """The indices of the Pareto front, cheapest first."""
        return find_front(self.mean_depth, self.score)

    def at(self, speedup: float) -> int | None:
        """The most accurate policy with at least that layer speed-up (the cheapest of equals); None if none is."""
        # The tolerance keeps a policy at exactly this speed-up despite rounding.
        usable = [i for i in self.front if self.mean_depth[i] <= self.depths / speedup * (1 + 1e-9)]
        return usable[-1] if usable else None

    def near(self, speedup: float) -> int | None:
        """The most accurate policy at about that layer speed-up (within :data:`SLACK`); None if there is none.

        For comparisons at equal cost: :meth:`at` may return a far cheaper policy that happened to do well on these
        texts and does worse on others. Of equally accurate policies, the deepest.
        """
        most = self.depths / speedup
        close = np.flatnonzero((self.mean_depth <= most * (1 + SLACK)) & (self.mean_depth >= most * (1 - SLACK)))
        if not len(close):
            return self.at(speedup)
        return int(max(close, key=lambda i: (self.score[i], self.mean_depth[i])))

    def within(self, score: float) -> int:
        """The cheapest policy with at least that score.

        Raises:
            InputError: no policy reaches it.
        """
        usable = [i for i in self.front if self.score[i] >= score - 1e-12]
        if not usable:
            raise InputError(f"no policy reaches a score of {score:.4f} on these texts; choose a lower one")
        return usable[0]

    @property
    def area(self) -> float:
        """The best score at no more than a cost, averaged over costs from depth 1 to the last."""
        front = self.front
        edges = np.append(np.clip(self.mean_depth[front], 1, self.depths), self.depths)
        span = self.depths - edges[0]
        if span <= 0:
            return float(self.score[front[-1]])
        return float((np.diff(edges) * self.score[front]).sum() / span)


class Trials:
    """Saved outputs prepared for many replays: exit depths and scores under any policy.

    ``right [n, depths]`` is whether the answer at each depth is right; None where answers are not graded.
    """

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.replay = outputs.replay()
        self.right = outputs.find_right() if outputs.task.is_graded else None
        self._counts = outputs.task.count(outputs.probabilities, outputs.labels)
        self._rows = np.arange(len(outputs)) * outputs.depths - 1

    def depth(self, policy: Policy) -> NDArray[np.int16]:
        """``[n]``: the exit depths under a policy."""
        return self.replay.exits(policy)

    def mean_depth(self, policy: Policy) -> float:
        """The mean of the exit depths under a policy."""
        return float(self.depth(policy).mean())

    def count_exits(self, policy: Policy) -> dict[str, Any]:
        """How many texts exit at each depth."""
        counts = np.bincount(self.depth(policy), minlength=self.outputs.depths + 1)
        return {"depths": {str(depth): int(count) for depth, count in enumerate(counts) if count}}

    def look_up(self, by_depth: NDArray[Any], depth: NDArray[np.int16]) -> NDArray[Any]:
        """``[n]``: the value of ``by_depth [n, depths]`` at each row's depth."""
        return by_depth.ravel().take(self._rows + depth)

    def answers(self, depth: NDArray[np.int16]) -> NDArray[Any]:
        """``[n, classes]``: the outputs at each row's depth."""
        answers: NDArray[Any] = self.outputs.probabilities[np.arange(len(self.outputs)), depth - 1]
        return answers

    def correct(self, policy: Policy) -> NDArray[Any]:
        """``[n]``: whether the answer at the exit depth is right; of graded answers only."""
        if self.right is None:
            raise TypeError(f"the answers of {self.outputs.task.title} are not graded")
        return self.look_up(self.right, self.depth(policy))

    def score(self, policy: Policy) -> float:
        """The score of the task, :attr:`Task.score_name`, under a policy."""
        return self._score(self.depth(policy))

    @property
    def full_score(self) -> float:
        """The score at full depth."""
        return self.score(FULL)

    def compare_to_full(self, policy: Policy, *, draws: int = DRAWS) -> tuple[Interval, float]:
        """The score that a policy loses, as :meth:`compare` compares."""
        return self.compare(FULL, policy, draws=draws)

    def _score(self, depth: NDArray[np.int16]) -> float:
        if self.right is not None:
            return float(self.look_up(self.right, depth).mean())
        if self._counts is not None:
            return self.outputs.task.score_counts(self._counts[np.arange(len(depth)), depth - 1].sum(0))
        return self.outputs.task.score(self.answers(depth), self.outputs.labels)

    def compare(self, ours: Policy, theirs: Policy, *, draws: int = DRAWS) -> tuple[Interval, float]:
        """The difference of two policies' scores, with its interval and the p-value of a paired test.

        Of right answers McNemar's exact test, of other scores a randomization test.
        """
        first, second = self.depth(ours), self.depth(theirs)
        if self.right is not None:
            right, wrong = self.look_up(self.right, first), self.look_up(self.right, second)
            return mean_interval(right.astype(int) - wrong.astype(int), draws=draws), mcnemar(right, wrong)
        return compare_scores(self.answers(first), self.answers(second), self.outputs.labels, self.outputs.task.score)

    def sweep(self, policies: Sequence[Policy]) -> SweepResult:
        """Mean depth and score of every policy."""
        found = np.array(list(self._scores(policies))).reshape(-1, 2)
        return SweepResult(policies, found[:, 0], found[:, 1], self.outputs.depths)

    def _scores(self, policies: Sequence[Policy]) -> Iterator[tuple[float, float]]:
        for policy in policies:
            depth = self.depth(policy)
            yield float(depth.mean()), self._score(depth)


def sweep(outputs: Outputs, families: Mapping[str, Sequence[Policy]]) -> dict[str, SweepResult]:
    """Replay every family over the same outputs; a rule shared by several policies is evaluated once."""
    trials = Trials(outputs)
    return {name: trials.sweep(policies) for name, policies in families.items()}


def find_front(cost: Scores, gain: Scores) -> list[int]:
    """The Pareto front: the indices whose gain no cheaper or equally cheap entry reaches, cheapest first."""
    best, kept = -np.inf, []
    for i in np.lexsort((-gain, cost)).tolist():
        if gain[i] > best:
            best = gain[i]
            kept.append(i)
    return kept
