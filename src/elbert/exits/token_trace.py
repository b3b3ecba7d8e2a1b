"""The trace of rows with an answer for each token: signals of all depths, probabilities of the depth reached.

A row is as settled as its least settled word. Probabilities of earlier depths are needed for no decision: the signals
that the rows' policies read are computed when a depth is recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.exits.signals import SIGNALS, Array
from elbert.exits.trace import Ints, Trace

NO_ANSWERS: Ints = np.zeros(0, np.int64)
SETTLED = {"max": 0.0, "min": 1.0}  # the signal of a row without words, by the end at which it is least settled


@dataclass(frozen=True)
class TokenTrace(Trace):
    """Rows of tokens, packed: the answers of one row after those of another.

    probabilities: ``[answers, 1, classes]``, of each row's own depth; ``[answers, depths, classes]`` if they are kept
    signals:       ``[rows, depths]`` of each signal that a policy reads, filled up to each row's depth
    counts:        ``[rows]``, the number of answers of each row
    positions:     ``[answers]``, the place of each answer's token in its row
    is_first:      ``[answers]``, whether the token begins a word: the others have no part in decisions
    """

    counts: Ints = field(default_factory=lambda: NO_ANSWERS)
    positions: Ints = field(default_factory=lambda: NO_ANSWERS)
    is_first: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    @classmethod
    def begin(
        cls,
        counts: Ints,
        positions: Ints,
        is_first: NDArray[np.bool_],
        depths: int,
        classes: int,
        signals: Collection[str],
        *,
        keep_trace: bool = False,
    ) -> TokenTrace:
        """Return an empty trace at depth 0, for rows with so many answers, whose policies read these signals."""
        rows, kept = len(counts), depths if keep_trace else 1
        return cls(
            np.zeros(rows, np.int64),
            np.zeros((len(positions), kept, classes), np.float32),
            keep_trace=keep_trace,
            signals={name: np.zeros((rows, depths), np.float32) for name in signals},
            counts=counts,
            positions=positions,
            is_first=is_first,
        )

    @cached_property
    def row(self) -> Ints:
        """``[answers]``: the row of each answer."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def record(self, probabilities: Array) -> TokenTrace:
        """Add the next depth of every row: ``probabilities [answers, classes]``; buffers are shared with the result."""
        before, deeper = self.last, replace(self, depth=self.depth + 1, common_depth=None)
        for name, values in (self.signals or {}).items():
            signal = SIGNALS[name]
            words = signal.array(probabilities[self.is_first, None], before[self.is_first, None])[:, 0]
            now = find_worst(words, self.row[self.is_first], len(self.counts), name)
            if signal.first is not None:
                now = np.where(self.depth == 0, signal.first, now)
            values[np.arange(len(self.depth)), self.depth] = now
        place = deeper.depth[self.row] - 1 if self.probabilities.shape[1] > 1 else 0
        self.probabilities[np.arange(len(self.row)), place] = probabilities
        return deeper

    @cached_property
    def last(self) -> Array:
        """``[answers, classes]``: the probabilities at each row's own depth."""
        place = np.maximum(self.depth[self.row] - 1, 0) if self.probabilities.shape[1] > 1 else 0
        last: Array = self.probabilities[np.arange(len(self.row)), place]
        return last

    def keep(self, index: Array) -> TokenTrace:
        """Return the trace of the rows ``index``, numbers or a mask."""
        rows = np.flatnonzero(index) if index.dtype == bool else index
        answers = select_segments(self.counts, rows)
        return replace(
            self,
            depth=self.depth[rows],
            probabilities=self.probabilities[answers],
            signals={name: values[rows] for name, values in (self.signals or {}).items()},
            common_depth=None,
            counts=self.counts[rows],
            positions=self.positions[answers],
            is_first=self.is_first[answers],
        )

    @staticmethod
    def join(traces: Sequence[Trace]) -> TokenTrace:
        """Concatenate traces of live rows; a signal that a row's policy does not read is 0 there."""
        parts = [trace for trace in traces if isinstance(trace, TokenTrace)]
        names = dict.fromkeys(name for part in parts for name in part.signals or {})
        depths = max((v.shape[1] for part in parts for v in (part.signals or {}).values()), default=1)
        kept = max(part.probabilities.shape[1] for part in parts)

        def read(part: TokenTrace, name: str) -> Array:
            none = np.zeros((len(part.depth), depths), np.float32)
            return (part.signals or {}).get(name, none)

        return TokenTrace(
            np.concatenate([part.depth for part in parts]),
            np.concatenate([part.widen(kept) for part in parts]),
            keep_trace=any(part.keep_trace for part in parts),
            signals={name: np.concatenate([read(part, name) for part in parts]) for name in names},
            counts=np.concatenate([part.counts for part in parts]),
            positions=np.concatenate([part.positions for part in parts]),
            is_first=np.concatenate([part.is_first for part in parts]),
        )

    def widen(self, kept: int) -> Array:
        """The probabilities ``[answers, kept, classes]``; those of earlier depths are 0 where they were not kept."""
        if self.probabilities.shape[1] == kept:
            return self.probabilities
        wide = np.zeros((len(self.row), kept, self.probabilities.shape[2]), np.float32)
        wide[np.arange(len(self.row)), np.maximum(self.depth[self.row] - 1, 0)] = self.last
        return wide


def select_segments(counts: Ints, rows: Ints) -> Ints:
    """``[answers of these rows]``: their places among the answers of all rows."""
    chosen = counts[rows]
    starts = (np.cumsum(counts) - counts)[rows]
    return np.asarray(np.repeat(starts - (np.cumsum(chosen) - chosen), chosen) + np.arange(chosen.sum()), np.int64)


def find_worst(values: Array, row: Ints, rows: int, name: str) -> NDArray[np.float32]:
    """``[rows]``: the signal of each row's least settled word, from ``values [words]`` of the rows ``row [words]``."""
    worst = SIGNALS[name].worst
    found = np.full(rows, SETTLED[worst], np.float32)
    if len(row):
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        found[row[starts]] = (np.maximum if worst == "max" else np.minimum).reduceat(values, starts)
    return found


def read_signals(
    probabilities: Array, counts: Ints, is_first: NDArray[np.bool_], names: Collection[str]
) -> dict[str, Any]:
    """``[rows, depths]`` of each signal, from the probabilities of all depths, ``[answers, depths, classes]``."""
    answers, depths, classes = probabilities.shape
    trace = TokenTrace.begin(counts, np.zeros(answers, np.int64), is_first, depths, classes, names)
    for depth in range(depths):
        trace = trace.record(probabilities[:, depth])
    return dict(trace.signals or {})
