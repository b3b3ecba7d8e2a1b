"""Saved outputs of texts in windows, and policies over them: each window exits at a depth, each text after a window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert._display import plural
from elbert.classifier import Classifier
from elbert.engine import name_text
from elbert.errors import ElbertError, InputError
from elbert.evaluation.outputs import Outputs, run_to_full_depth
from elbert.evaluation.statistics import DRAWS, Interval, compare_scores, mcnemar, mean_interval
from elbert.evaluation.sweep import SweepResult, Trials
from elbert.evaluation.targets import Targets, resolve_targets
from elbert.exits import Policy, Replay
from elbert.inference import Exits, Windows, accumulate, find_best, has_one_label
from elbert.tasks import Task
from elbert.tokenization.tokens import Text, Tokens, list_texts


@dataclass(frozen=True)
class DocumentOutputs:
    """The outputs of all windows of texts at every depth.

    rows:    the outputs of the windows, those of one text after those of another; each has its text's label
    labels:  ``[n, ...]``, those of the texts, as in :class:`Outputs`
    sizes:   ``[n]``, the number of windows of each text
    windows: how the answers of windows become one, and when a text is settled
    """

    rows: Outputs
    labels: NDArray[Any]
    sizes: NDArray[np.int64]
    windows: Windows

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.sizes)

    @property
    def depths(self) -> int:
        """The number of depths of the model."""
        return self.rows.depths

    @property
    def task(self) -> Task:
        """What the outputs mean."""
        return self.rows.task

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """``[n, windows]``: the row of each window; a text with fewer windows repeats its last one."""
        first = np.cumsum(self.sizes) - self.sizes
        steps = np.arange(self.sizes.max(initial=1))
        return np.asarray(first[:, None] + np.minimum(steps, self.sizes[:, None] - 1))


def collect_documents(
    classifier: Classifier,
    texts: Iterable[Text],
    labels: Targets | Sequence[object] | None,
    windows: Windows,
    *,
    on_failure: Callable[[int, Exception], None] | None = None,
) -> DocumentOutputs:
    """Run all windows of texts once at full depth and keep the outputs of every depth, as :func:`collect` does.

    Raises:
        InputError: as for :func:`collect`.
    """
    texts, config = list_texts(texts), classifier.bundle.config
    targets = None if labels is None else resolve_targets(labels, config.labels, config.task)
    if targets is not None and len(targets) != len(texts):
        raise InputError(f"{plural(len(targets), 'label')} for {plural(len(texts), 'text')}; expected one for each")
    failed = set[int]()

    def fail(number: int, error: Exception) -> None:
        if on_failure is None:
            raise name_text(error, number)
        if number not in failed:
            failed.add(number)
            on_failure(number, error)

    tokens, owners = list[Tokens](), list[int]()
    for number, found in enumerate(classifier.tokeniser.encode_windows(texts)):
        if isinstance(found, ElbertError):
            fail(number, found)
        else:
            tokens += found
            owners += [number] * len(found)
    probabilities = np.zeros((len(tokens), config.depths, len(config.labels)), np.float32)

    def add(exits: Exits) -> None:
        if exits.trace is not None:
            probabilities[exits.identity] = exits.trace

    run_to_full_depth(classifier, tokens, add, lambda row, error: fail(owners[row], error))
    lengths = np.array([len(row) for row in tokens], np.int64)
    known = None if targets is None else targets.values
    values = np.zeros(len(tokens), np.int64) if known is None else known[owners]
    rows = Outputs(probabilities, values, lengths, config.labels, config.problem, config.scale)
    rows = rows.take(np.flatnonzero(~np.isin(owners, list(failed)))) if failed else rows
    kept = np.array([number for number in range(len(texts)) if number not in failed], np.int64)
    sizes = np.bincount(owners, minlength=len(texts)).astype(np.int64)[kept]
    outputs = DocumentOutputs(rows, np.zeros(len(kept), np.int64) if known is None else known[kept], sizes, windows)
    if known is not None:
        return outputs
    full = config.task.decode(combine_windows(outputs, rows.probabilities[:, -1], sizes))
    return DocumentOutputs(replace(rows, labels=np.repeat(full, sizes, 0)), full, sizes, windows)


def combine_windows(outputs: DocumentOutputs, answers: NDArray[Any], read: NDArray[np.int64]) -> NDArray[Any]:
    """``[n, classes]``: the answer of each text from ``answers [rows, classes]`` of its first ``read`` windows.

    Where a text has one label, it has 1 and the others 0: the label is chosen as live documents choose it.
    """
    task, combination, each = outputs.task, outputs.windows.combination, answers[outputs.places]
    rows = np.arange(len(read)), read - 1
    scores = accumulate(each, combination, task)[rows]
    if not has_one_label(task):
        return scores
    means = scores if combination == "mean" else accumulate(each, "mean", task)[rows]
    return np.asarray(find_best(scores, means)[:, None] == np.arange(scores.shape[1]), np.float32)


@dataclass(frozen=True)
class ReplayedDocuments:
    """Texts under a policy.

    answers: ``[n, classes]``
    read:    ``[n]``, the number of windows that are read
    depth:   ``[n, windows]``, the depth of each window; 0 for one that is not read
    """

    answers: NDArray[Any]
    read: NDArray[np.int64]
    depth: NDArray[np.int64]


class DocumentTrials:
    """Outputs of windows prepared for many replays: what :class:`Trials` is for rows.

    Texts are compared with their answer from all windows at full depth. The cost of a text are the layers of the
    windows that it reads; the mean depth is over all its windows.
    """

    def __init__(self, outputs: DocumentOutputs) -> None:
        self.outputs = outputs
        self._replay = outputs.rows.replay()
        self._places = outputs.places
        self._several = np.flatnonzero(outputs.sizes > 1)  # most texts have one window, where nothing is to be stopped
        self._latest: tuple[Policy, ReplayedDocuments] | None = None
        self._latest_over: tuple[bytes, Replay] | None = None  # by the depths of their rows: policies alike share them
        self.full = combine_windows(outputs, outputs.rows.probabilities[:, -1], outputs.sizes)

    def run(self, policy: Policy) -> ReplayedDocuments:
        """Return where windows exit and texts end under a policy of the rows, as in a live run."""
        if self._latest is None or self._latest[0] is not policy:
            self._latest = policy, self._run(policy)
        return self._latest[1]

    def _run(self, policy: Policy) -> ReplayedDocuments:
        outputs, task = self.outputs, self.outputs.task
        depth = self._replay.exits(policy).astype(np.int64)
        answers = outputs.rows.probabilities[np.arange(len(depth)), depth - 1]
        read = outputs.sizes
        places, several = self._places, self._several
        rules = outputs.windows.find_rules(policy)
        if rules and len(several):
            key = depth[places[several]].tobytes()
            if self._latest_over is None or self._latest_over[0] != key:
                steps = accumulate(answers[places[several]], outputs.windows.policy_combination, task)
                over = Replay(steps, multi_label=task.multi_label, content=task.content, scale=outputs.rows.scale)
                self._latest_over = key, over
            read = read.copy()
            for rule in rules:
                read[several] = np.minimum(read[several], self._latest_over[1].fires(rule))
        is_read = np.arange(places.shape[1]) < read[:, None]
        return ReplayedDocuments(combine_windows(outputs, answers, read), read, np.where(is_read, depth[places], 0))

    def mean_depth(self, policy: Policy) -> float:
        """Layers a window, over all windows of all texts."""
        return float(self.run(policy).depth.sum() / self.outputs.sizes.sum())

    def count_exits(self, policy: Policy) -> dict[str, Any]:
        """Return the windows of all texts, those that are read, and how many of these exit at each depth."""
        found = self.run(policy)
        counts = np.bincount(found.depth.ravel(), minlength=self.outputs.depths + 1)
        return {
            "windows": int(self.outputs.sizes.sum()),
            "windows_read": int(found.read.sum()),
            "depths": {str(depth): int(count) for depth, count in enumerate(counts) if depth and count},
        }

    def find_losses(self, policy: Policy, tolerance: float | None, *, harmful: bool) -> NDArray[np.bool_]:
        """``[n]``: whether the answer differs from that of all windows at full depth; ``harmful``: for the worse."""
        answers, task, labels = self.run(policy).answers, self.outputs.task, self.outputs.labels
        if harmful:
            return np.asarray(task.find_right(self.full, labels) & ~task.find_right(answers, labels))
        return task.differ(answers, self.full, tolerance or 0.0)

    def score(self, policy: Policy) -> float:
        """The score of the task, :attr:`Task.score_name`, under a policy."""
        return self.outputs.task.score(self.run(policy).answers, self.outputs.labels)

    @property
    def full_score(self) -> float:
        """The score with all windows at full depth."""
        return self.outputs.task.score(self.full, self.outputs.labels)

    def compare_to_full(self, policy: Policy, *, draws: int = DRAWS) -> tuple[Interval, float]:
        """The score that a policy loses, with its interval and the p-value of a paired test."""
        answers, task, labels = self.run(policy).answers, self.outputs.task, self.outputs.labels
        if not task.is_graded:
            return compare_scores(self.full, answers, labels, task.score)
        right, wrong = task.find_right(self.full, labels), task.find_right(answers, labels)
        return mean_interval(right.astype(int) - wrong.astype(int), draws=draws), mcnemar(right, wrong)

    def sweep(self, policies: Sequence[Policy]) -> SweepResult:
        """Mean depth and score of every policy."""
        found = np.array(list(self._scores(policies))).reshape(-1, 2)
        return SweepResult(policies, found[:, 0], found[:, 1], self.outputs.depths)

    def _scores(self, policies: Sequence[Policy]) -> Iterator[tuple[float, float]]:
        for policy in policies:
            yield self.mean_depth(policy), self.score(policy)


def make_trials(outputs: Outputs | DocumentOutputs) -> Trials | DocumentTrials:
    """Return outputs prepared for many replays."""
    return DocumentTrials(outputs) if isinstance(outputs, DocumentOutputs) else Trials(outputs)
