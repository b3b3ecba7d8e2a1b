"""The trace: what the exit head has said about each live row so far.

It lives on the host, in numpy: a decision over a few dozen rows is a matter of microseconds there, ten times less
than as many small tensor operations, and on an accelerator it can be taken while other rows compute.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.exits.signals import AT_FIRST, SIGNALS, Array, questions

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Trace:
    """Signals of rows that may stand at different depths.

    depth:     ``[rows]``, how often the layer has been applied to each row; 0 before the first depth
    last:      ``[rows, classes]``, the probabilities at that depth
    values:    ``[rows, depths, signals]``, filled up to each row's depth
    names:     the signals kept, in the order of the last axis of ``values``
    said:      ``[rows, depths, classes]``, all probabilities so far, where somebody asked for them
    """

    depth: Ints
    last: Array
    values: Array
    names: tuple[str, ...]
    multi_label: bool = False
    said: Array | None = None

    @classmethod
    def start(
        cls,
        rows: int,
        depths: int,
        classes: int,
        signals: Collection[str],
        *,
        multi_label: bool = False,
        remember: bool = False,
        dtype: Any = np.float32,
    ) -> Trace:
        """The trace of ``rows`` rows about which nothing has been said yet; ``remember`` keeps all probabilities."""
        return cls(
            depth=np.zeros(rows, np.int64),
            last=np.zeros((rows, classes), dtype),
            values=np.zeros((rows, depths, len(signals)), dtype),
            names=tuple(sorted(signals)),
            multi_label=multi_label,
            said=np.zeros((rows, depths, classes), dtype) if remember else None,
        )

    @classmethod
    def of(cls, probabilities: Array, signals: Collection[str], *, multi_label: bool = False) -> Trace:
        """The complete trace of saved outputs ``[rows, depths, classes]``; look at a depth with :meth:`at`."""
        rows, depths, classes = probabilities.shape
        trace = cls.start(rows, depths, classes, signals, multi_label=multi_label, dtype=probabilities.dtype)
        for depth in range(depths):
            trace = trace.hear(probabilities[:, depth])
        return trace

    def hear(self, probabilities: Array) -> Trace:
        """The trace after every row's head has spoken once more: ``probabilities [rows, classes]``."""
        # In place: a row's past is never rewritten, so views of an earlier depth stay true.
        if self.names:
            self._note(questions(probabilities, self.multi_label), questions(self.last, self.multi_label))
        if self.said is not None:
            self.said[self._rows, self.depth] = probabilities
        return Trace(self.depth + 1, probabilities, self.values, self.names, self.multi_label, self.said)

    def pass_by(self) -> Trace:
        """The trace one depth deeper where nobody listened: for policies that read nothing."""
        return Trace(self.depth + 1, self.last, self.values, self.names, self.multi_label, self.said)

    def _note(self, now: Array, before: Array) -> None:
        unheard = self.depth == 0
        for index, name in enumerate(self.names):
            signal = SIGNALS[name](now, before)
            if name in AT_FIRST:
                signal = np.where(unheard, AT_FIRST[name], signal)
            self.values[self._rows, self.depth, index] = signal

    @cached_property
    def _rows(self) -> Ints:
        return np.arange(len(self.depth))

    def at(self, depth: int) -> Trace:
        """The trace as it stood when every row was at ``depth``; signals only, ``last`` is not rewound."""
        return replace(self, depth=np.full_like(self.depth, depth))

    def now(self, name: str) -> Array:
        """``[rows]``: a signal at each row's own depth."""
        now: Array = self.values[self._rows, np.maximum(self.depth - 1, 0), self.names.index(name)]
        return now

    def window(self, name: str, size: int) -> Array:
        """``[rows, size]``: a signal over each row's last ``size`` depths, oldest first.

        Rows that are not that deep yet repeat their first depth; policies rule them out by :attr:`depth`.
        """
        steps = np.maximum(self.depth[:, None] + np.arange(-size, 0), 0)
        window: Array = self.values[self._rows[:, None], steps, self.names.index(name)]
        return window

    def keep(self, index: Array) -> Trace:
        """The trace of some of the rows, by their numbers or a mask."""
        said = None if self.said is None else self.said[index]
        return Trace(self.depth[index], self.last[index], self.values[index], self.names, self.multi_label, said)

    @staticmethod
    def join(traces: Sequence[Trace]) -> Trace:
        """One trace of the rows of several, in order; all must keep the same things."""
        if len(traces) == 1:
            return traces[0]
        said = [t.said for t in traces if t.said is not None]
        return replace(
            traces[0],
            depth=np.concatenate([t.depth for t in traces]),
            last=np.concatenate([t.last for t in traces]),
            values=np.concatenate([t.values for t in traces]),
            said=np.concatenate(said) if said else None,
        )
