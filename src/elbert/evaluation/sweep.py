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
from elbert.exits import FULL, POLICIES, Policy, Tempered, fixed_depth
from elbert.exits.policies import list_families
from elbert.exits.rules import Depths, Family, Grid


def build_families(depths: int, names: Sequence[str] | None = None) -> dict[str, list[Policy]]:
    """The policies of every family, or of the named ones, for a model with ``depths`` depths.

    Every family holds the first depth and full depth, so that all curves cover the same range of costs and areas under
    them can be compared.

    Raises:
        InputError: a name is not a family.
    """
    families = list_families()
    selected = list(families) if names is None else list(names)
    unknown = [name for name in selected if name not in families]
    if unknown:
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
    """The policies of a family on the same outputs: ``mean_depth [policies]``, ``accuracy [policies]``."""

    policies: Sequence[Policy]
    mean_depth: Scores
    accuracy: Scores
    depths: int

    @cached_property
    def front(self) -> list[int]:
        """The indices of the Pareto front, cheapest first."""
        return find_front(self.mean_depth, self.accuracy)

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
        return int(max(close, key=lambda i: (self.accuracy[i], self.mean_depth[i])))

    def within(self, accuracy: float) -> int:
        """The cheapest policy with at least that accuracy.

        Raises:
            InputError: no policy reaches it.
        """
        usable = [i for i in self.front if self.accuracy[i] >= accuracy - 1e-12]
        if not usable:
            raise InputError(f"no policy reaches an accuracy of {accuracy:.4f} on these texts; choose a lower one")
        return usable[0]

    @property
    def area(self) -> float:
        """The best accuracy at no more than a cost, averaged over costs from depth 1 to the last."""
        front = self.front
        edges = np.append(np.clip(self.mean_depth[front], 1, self.depths), self.depths)
        span = self.depths - edges[0]
        if span <= 0:
            return float(self.accuracy[front[-1]])
        return float((np.diff(edges) * self.accuracy[front]).sum() / span)


class Trials:
    """Saved outputs prepared for many replays: exit depths and correctness under any policy."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.replay = outputs.replay()
        self.right = outputs.find_right()
        self._rows = np.arange(len(outputs)) * outputs.depths - 1

    def depth(self, policy: Policy) -> NDArray[np.int16]:
        """``[n]``: the exit depths under a policy."""
        return self.replay.exits(policy)

    def correct(self, policy: Policy) -> NDArray[np.bool_]:
        """``[n]``: whether the prediction at the exit depth equals the label."""
        return self.look_up(self.right, self.depth(policy))

    def look_up(self, by_depth: NDArray[Any], depth: NDArray[np.int16]) -> NDArray[Any]:
        """``[n]``: the value of ``by_depth [n, depths]`` at each row's depth."""
        return by_depth.ravel().take(self._rows + depth)

    def sweep(self, policies: Sequence[Policy]) -> SweepResult:
        """Mean depth and accuracy of every policy."""
        found = np.array(list(self._scores(policies))).reshape(-1, 2)
        return SweepResult(policies, found[:, 0], found[:, 1], self.outputs.depths)

    def _scores(self, policies: Sequence[Policy]) -> Iterator[tuple[float, float]]:
        for policy in policies:
            depth = self.depth(policy)
            yield float(depth.mean()), float(self.look_up(self.right, depth).mean())


def sweep(outputs: Outputs, families: Mapping[str, Sequence[Policy]]) -> dict[str, SweepResult]:
    """Replay every family over the same outputs; a rule shared by several policies is evaluated once.

    Raises:
        InputError: the outputs are of a regression.
    """
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
