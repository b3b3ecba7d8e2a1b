"""Sweep: many policies over the same saved outputs, and the best of them at every cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.errors import InputError
from elbert.evaluation.metrics import right
from elbert.evaluation.outputs import Outputs
from elbert.exits import Policy, Replay

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
