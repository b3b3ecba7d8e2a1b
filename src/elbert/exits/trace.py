"""The trace: the probabilities of each row at each depth so far.

It is on the host, in numpy: a decision over a few dozen rows takes microseconds there, a tenth of the time of small
tensor operations, and on an accelerator other rows can compute meanwhile. It keeps probabilities and computes a
signal when a policy reads it: most rows exit before most signals are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.exits.signals import FIRST_DEPTH_VALUES, SIGNALS, Array, apply_temperatures, to_distributions

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Trace:
    """Probabilities of rows that may be at different depths.

    depth:         ``[rows]``, how many times a layer has been applied to each row; 0 before the first depth
    probabilities: ``[rows, depths, classes]``, filled up to each row's depth
    multi_label:   whether every label has a probability of its own
    keep_trace:    whether the caller needs the probabilities of every depth, not only of the exit
    signals:       cache ``[rows, depths]`` by signal, where all depths are known (saved outputs); else None
    common_depth:  the depth of all rows, where they share one and it is known
    """

    depth: Ints
    probabilities: Array
    multi_label: bool = False
    keep_trace: bool = False
    signals: dict[str, Array] | None = None
    common_depth: int | None = None
    tempered_traces: dict[tuple[float, ...], Trace] = field(default_factory=dict)  # cache

    @classmethod
    def start(
        cls, rows: int, depths: int, classes: int, *, multi_label: bool = False, keep_trace: bool = False
    ) -> Trace:
        """Return an empty trace for ``rows`` rows at depth 0."""
        probabilities = np.zeros((rows, depths, classes), np.float32)
        return cls(np.zeros(rows, np.int64), probabilities, multi_label, keep_trace)

    @classmethod
    def from_outputs(cls, probabilities: Array, *, multi_label: bool = False) -> Trace:
        """Return the complete trace of saved outputs ``[rows, depths, classes]``; :meth:`at` selects a depth."""
        rows, depths, _ = probabilities.shape
        return cls(np.full(rows, depths), probabilities, multi_label, signals={})

    def record(self, probabilities: Array) -> Trace:
        """Add the next depth of every row: ``probabilities [rows, classes]``; the buffer is shared with the result."""
        # In place: earlier depths of a row are never rewritten, so traces of an earlier depth stay valid.
        self.probabilities[np.arange(len(self.depth)), self.depth] = probabilities
        return self.skip_depth()

    def skip_depth(self) -> Trace:
        """Go one depth deeper without probabilities, for policies that read no signal."""
        return replace(self, depth=self.depth + 1, common_depth=None, tempered_traces={})

    def at(self, depth: int) -> Trace:
        """Return the trace with every row at ``depth``."""
        return replace(self, depth=np.full_like(self.depth, depth), common_depth=depth)

    def tempered(self, temperatures: tuple[float, ...]) -> Trace:
        """Divide the logits of depth m by ``temperatures[m - 1]``; the last temperature holds for deeper depths."""
        if temperatures not in self.tempered_traces:
            probabilities = apply_temperatures(self.probabilities, temperatures, self.multi_label)
            if self.signals is None:
                tempered = replace(self, probabilities=probabilities, tempered_traces={})
            else:
                tempered = Trace.from_outputs(probabilities, multi_label=self.multi_label)
            self.tempered_traces[temperatures] = tempered
        return replace(self.tempered_traces[temperatures], depth=self.depth, common_depth=self.common_depth)

    @cached_property
    def last(self) -> Array:
        """``[rows, classes]``: the probabilities at each row's own depth."""
        last: Array = self.probabilities[np.arange(len(self.depth)), np.maximum(self.depth - 1, 0)]
        return last

    def now(self, name: str) -> Array:
        """``[rows]``: a signal at each row's own depth."""
        if self.signals is not None or name in FIRST_DEPTH_VALUES:
            return self.window(name, 1)[:, 0]
        now = to_distributions(self.last, self.multi_label)
        return SIGNALS[name](now, now)

    def window(self, name: str, size: int) -> Array:
        """``[rows, size]``: a signal over each row's last ``size`` depths, oldest first.

        Rows that are not that deep repeat their first depth; policies exclude them by :attr:`depth`.
        """
        rows = np.arange(len(self.depth))[:, None]
        steps = np.maximum(self.depth[:, None] + np.arange(-size, 0), 0)
        if self.signals is None:
            return self._signal(name, rows, steps)
        if name not in self.signals:
            self.signals[name] = self._signal(name, rows, np.arange(self.probabilities.shape[1]))
        if self.common_depth is not None and self.common_depth >= size:  # a view, where a general window is a copy
            return self.signals[name][:, self.common_depth - size : self.common_depth]
        window: Array = self.signals[name][rows, steps]
        return window

    def _signal(self, name: str, rows: Ints, steps: Ints) -> Array:
        now = to_distributions(self.probabilities[rows, steps], self.multi_label)
        if name not in FIRST_DEPTH_VALUES:
            return SIGNALS[name](now, now)
        before = to_distributions(self.probabilities[rows, np.maximum(steps - 1, 0)], self.multi_label)
        return np.where(steps == 0, FIRST_DEPTH_VALUES[name], SIGNALS[name](now, before))

    def keep(self, index: Array) -> Trace:
        """Return the trace of the rows ``index``, numbers or a mask."""
        signals = None if self.signals is None else {name: values[index] for name, values in self.signals.items()}
        return Trace(self.depth[index], self.probabilities[index], self.multi_label, self.keep_trace, signals)

    @staticmethod
    def join(traces: Sequence[Trace]) -> Trace:
        """Concatenate traces of live rows."""
        depth = np.concatenate([t.depth for t in traces])
        probabilities: NDArray[Any] = np.concatenate([t.probabilities for t in traces])
        return Trace(depth, probabilities, traces[0].multi_label, any(t.keep_trace for t in traces))
