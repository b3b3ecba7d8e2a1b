"""The trace: what the exit head has said about each live row so far.

It lives on the host, in numpy: a decision over a few dozen rows is a matter of microseconds there, ten times less
than as many small tensor operations, and on an accelerator it can be taken while other rows compute. It keeps
probabilities and works out a signal when a policy asks for it: most rows leave before most signals are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.exits.signals import AT_FIRST, SIGNALS, Array, at_temperatures, questions

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Trace:
    """What was said about rows that may stand at different depths.

    depth:       ``[rows]``, how often the layer has been applied to each row; 0 before the first depth
    said:        ``[rows, depths, classes]``, all probabilities so far, filled up to each row's depth
    multi_label: whether every label is a question of its own
    remember:    whether somebody wants all that was said, not only the answer
    whole:       signals over all depths ``[rows, depths]`` by name, where all depths are known (saved outputs)
    """

    depth: Ints
    said: Array
    multi_label: bool = False
    remember: bool = False
    whole: dict[str, Array] | None = None
    level: int | None = None  # the depth at which all rows stand, where they do and it is known
    others: dict[tuple[float, ...], Trace] = field(default_factory=dict)  # what was said, at other temperatures

    @classmethod
    def start(cls, rows: int, depths: int, classes: int, *, multi_label: bool = False, remember: bool = False) -> Trace:
        """The trace of ``rows`` rows about which nothing has been said yet."""
        said = np.zeros((rows, depths, classes), np.float32)
        return cls(np.zeros(rows, np.int64), said, multi_label, remember)

    @classmethod
    def of(cls, probabilities: Array, *, multi_label: bool = False) -> Trace:
        """The complete trace of saved outputs ``[rows, depths, classes]``; look at a depth with :meth:`at`."""
        rows, depths, _ = probabilities.shape
        return cls(np.full(rows, depths), probabilities, multi_label, whole={})

    def hear(self, probabilities: Array) -> Trace:
        """The trace after every row's head has spoken once more: ``probabilities [rows, classes]``."""
        # In place: a row's past is never rewritten, so views of an earlier depth stay true.
        self.said[np.arange(len(self.depth)), self.depth] = probabilities
        return self.pass_by()

    def pass_by(self) -> Trace:
        """The trace one depth deeper where nobody listened: for policies that read nothing."""
        return replace(self, depth=self.depth + 1, level=None, others={})

    def at(self, depth: int) -> Trace:
        """The trace as it stood when every row was at ``depth``."""
        return replace(self, depth=np.full_like(self.depth, depth), level=depth)

    def tempered(self, temperatures: tuple[float, ...]) -> Trace:
        """The trace as if the logits of depth m were divided by ``temperatures[m - 1]``; the last holds beyond."""
        if temperatures not in self.others:
            said = at_temperatures(self.said, temperatures, self.multi_label)
            saved = self.whole is not None
            other = Trace.of(said, multi_label=self.multi_label) if saved else replace(self, said=said, others={})
            self.others[temperatures] = other
        return replace(self.others[temperatures], depth=self.depth, level=self.level)

    @cached_property
    def last(self) -> Array:
        """``[rows, classes]``: what was said at each row's own depth."""
        last: Array = self.said[np.arange(len(self.depth)), np.maximum(self.depth - 1, 0)]
        return last

    def now(self, name: str) -> Array:
        """``[rows]``: a signal at each row's own depth."""
        if self.whole is not None or name in AT_FIRST:
            return self.window(name, 1)[:, 0]
        now = questions(self.last, self.multi_label)
        return SIGNALS[name](now, now)

    def window(self, name: str, size: int) -> Array:
        """``[rows, size]``: a signal over each row's last ``size`` depths, oldest first.

        Rows that are not that deep yet repeat their first depth; policies rule them out by :attr:`depth`.
        """
        rows = np.arange(len(self.depth))[:, None]
        steps = np.maximum(self.depth[:, None] + np.arange(-size, 0), 0)
        if self.whole is None:
            return self._signal(name, rows, steps)
        if name not in self.whole:
            self.whole[name] = self._signal(name, rows, np.arange(self.said.shape[1]))
        if self.level is not None and self.level >= size:  # a view, where a general window is a copy
            return self.whole[name][:, self.level - size : self.level]
        window: Array = self.whole[name][rows, steps]
        return window

    def _signal(self, name: str, rows: Ints, steps: Ints) -> Array:
        now = questions(self.said[rows, steps], self.multi_label)
        if name not in AT_FIRST:
            return SIGNALS[name](now, now)
        before = questions(self.said[rows, np.maximum(steps - 1, 0)], self.multi_label)
        return np.where(steps == 0, AT_FIRST[name], SIGNALS[name](now, before))

    def keep(self, index: Array) -> Trace:
        """The trace of some of the rows, by their numbers or a mask."""
        whole = None if self.whole is None else {name: values[index] for name, values in self.whole.items()}
        return Trace(self.depth[index], self.said[index], self.multi_label, self.remember, whole)

    @staticmethod
    def join(traces: Sequence[Trace]) -> Trace:
        """One trace of the live rows of several, in order."""
        depth = np.concatenate([t.depth for t in traces])
        said: NDArray[Any] = np.concatenate([t.said for t in traces])
        return Trace(depth, said, traces[0].multi_label, any(t.remember for t in traces))
