"""Replay rankings over saved outputs: the engine's scheduler decides which rows share a call, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.classifier import REFILL, Classifier
from elbert.engine import Capacity, RankedList, Request, Scheduler, SweepQueue
from elbert.engine.lists import RankedLists
from elbert.errors import ElbertError
from elbert.exits import FULL, LAST, Policy, Replay
from elbert.model import ModelConfig
from elbert.ranking.ranker import BLOCK, check_list, encode_list
from elbert.ranking.scores import check_ranker, order_scores
from elbert.tokenization import Tokens


@dataclass(frozen=True)
class RankingOutputs:
    """The outputs of lists at every depth.

    outputs: ``[texts, depths]``, the logits or values; signals read ``answers [texts, depths, 1]``
    tokens:  the tokens of each text with its query
    sizes:   the number of texts of each list
    """

    outputs: NDArray[np.float32]
    answers: NDArray[Any]
    tokens: Sequence[Tokens]
    sizes: tuple[int, ...]
    config: ModelConfig
    capacity: Capacity
    _full: dict[int, list[tuple[int, ...]]] = field(default_factory=dict)

    def __len__(self) -> int:
        """The number of lists."""
        return len(self.sizes)

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """The first text of each list, and the one after its last."""
        return list(pairwise((0, *accumulate(self.sizes))))

    def select(self, lists: Sequence[int]) -> RankingOutputs:
        """Return the outputs of these lists."""
        bounds = [self.bounds[i] for i in lists]
        rows = np.concatenate([np.arange(*bound) for bound in bounds])
        return RankingOutputs(
            self.outputs[rows],
            self.answers[rows],
            [self.tokens[i] for i in rows],
            tuple(self.sizes[i] for i in lists),
            self.config,
            self.capacity,
        )

    def replay(self, policy: Policy) -> ReplayedRanking:
        """Return where every text exits, as in one run of :meth:`Classifier.rank_each` over all lists."""
        task = self.config.task
        own = Replay(self.answers, multi_label=task.multi_label, content=task.content, scale=self.config.scale)
        last, reasons = own.exits(policy).astype(np.int64), own.reasons(policy)
        if not policy.list_rules:
            return ReplayedRanking(self, policy, last, reasons)
        depth, out = run_lists(self, policy, last)
        named = [policy.list_rules[0].reason if is_out else reason for is_out, reason in zip(out, reasons, strict=True)]
        return ReplayedRanking(self, policy, depth, named)

    def full_tops(self, top: int) -> list[tuple[int, ...]]:
        """The ``top`` highest texts of each list at full depth, in order."""
        if top not in self._full:
            last = np.full(len(self.outputs), self.outputs.shape[1])
            self._full[top] = ReplayedRanking(self, FULL, last, [LAST] * len(last)).tops(top)
        return self._full[top]


@dataclass(frozen=True)
class ReplayedRanking:
    """Where each text exits, and the reason."""

    of: RankingOutputs
    policy: Policy
    depth: NDArray[np.int64]
    reasons: list[str]

    def tops(self, top: int) -> list[tuple[int, ...]]:
        """The ``top`` highest texts of each list, in order."""
        values = self.of.outputs[np.arange(len(self.depth)), self.depth - 1]
        found = []
        for start, stop in self.of.bounds:
            order, _ = order_scores(values[start:stop].tolist(), self.reasons[start:stop], self.policy)
            found.append(tuple(order[:top]))
        return found

    def find_changed(self, top: int) -> NDArray[np.bool_]:
        """``[lists]``: whether the ``top`` highest texts, or their order, differ from those at full depth."""
        pairs = zip(self.tops(top), self.of.full_tops(top), strict=True)
        return np.array([found != full for found, full in pairs])


def run_lists(of: RankingOutputs, policy: Policy, last: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[bool]]:
    """Return the depth ``[texts]`` at which each text exits, and whether a rule over its list exited it.

    ``last`` is the depth at which its own rules exit it. Rows share calls as in the engine.
    """
    config, rows = of.config, len(last)
    keys = [config.weights_key(depth) for depth in range(config.depths)]
    scheduler = Scheduler(of.capacity, keys, queue=SweepQueue(), refill=REFILL)
    lists = RankedLists(config.scale)
    depth, out = np.zeros(rows, np.int64), np.zeros(rows, bool)
    read = block = 0  # texts and lists
    bounds = of.bounds
    while True:
        if scheduler.num_waiting < of.capacity.rows:
            target = read + BLOCK
            while block < len(bounds) and read < target:
                ranked = RankedList(policy.list_rules[0])
                for row in range(*bounds[block]):
                    scheduler.add(row, len(of.tokens[row]))
                    lists.add(Request(row, of.tokens[row], policy, ranked_in=ranked))
                read, block = bounds[block][1], block + 1
        if started := scheduler.admit():
            scheduler.enqueue(keys[0], started)
        if (call := scheduler.next_call()) is None:
            return depth, out.tolist()
        taken = np.array(call[1])
        depth[taken] += 1
        staying, done = taken[depth[taken] < last[taken]], taken[depth[taken] >= last[taken]]
        for key in dict.fromkeys(config.weights_key(int(depth[row])) for row in staying):
            scheduler.enqueue(key, [row for row in staying.tolist() if config.weights_key(int(depth[row])) == key])
        lists.record(staying, depth[staying], of.answers[staying])
        lists.record_exits(done, of.answers[done, last[done] - 1])
        outranked = [row for found in lists.find_outranked().values() for row in sorted(found) if depth[row]]
        outranked = [row for row in outranked if row not in set(done.tolist())]
        scheduler.withdraw(set(outranked))
        lists.exclude(outranked)
        out[outranked] = True
        complete = [*done.tolist(), *outranked]
        lists.remove(complete)
        scheduler.release(complete)


def collect_rankings(classifier: Classifier, lists: Sequence[tuple[Any, Any]]) -> RankingOutputs:
    """Run all texts of lists ``(query, texts)`` to full depth, and return the outputs of all depths.

    Raises:
        InputError: the model has no score for a pair, or a list cannot be used.
    """
    config = classifier.bundle.config
    check_ranker(config)
    tokens, sizes = list[Tokens](), list[int]()
    for number, item in enumerate(lists):
        try:
            rows = encode_list(classifier, *check_list(item))
        except ElbertError as error:
            raise type(error)(f"list {number}: {error}") from error
        tokens += rows
        sizes.append(len(rows))
    answers = np.zeros((len(tokens), config.depths, 1), np.float32)
    for exits in classifier.exits(tokens, FULL, keep_trace=True):
        if exits.trace is not None:
            answers[exits.identity] = exits.trace
    outputs = answers[..., 0]
    if config.task.activation == "sigmoid":
        with np.errstate(divide="ignore"):
            outputs = np.log(outputs) - np.log1p(-outputs)
    return RankingOutputs(outputs, answers, tokens, tuple(sizes), config, classifier.capacity)
