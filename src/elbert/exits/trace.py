"""The trace: the probabilities (or values) of each row at each depth so far, and the signals computed from them.

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

from elbert.errors import PolicyError
from elbert.exits.signals import SIGNALS, TINY, Array, Content, to_questions

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Trace:
    """Probabilities of rows that may be at different depths.

    depth:         ``[rows]``, how many times a layer has been applied to each row; 0 before the first depth
    probabilities: ``[rows, depths, classes]``, filled up to each row's depth; of values ``[rows, depths, outputs]``
    multi_label:   whether every label has a probability of its own
    keep_trace:    whether the caller needs the probabilities of every depth, not only of the exit
    signals:       cache ``[rows, depths]`` by signal, where all depths are known (saved outputs); else None
    common_depth:  the depth of all rows, where they share one and it is known
    content:       what ``probabilities`` holds
    scale:         the unit in which signals read values
    """

    depth: Ints
    probabilities: Array
    multi_label: bool = False
    keep_trace: bool = False
    signals: dict[str, Array] | None = None
    common_depth: int | None = None
    content: Content = "probabilities"
    scale: float = 1.0
    tempered_traces: dict[tuple[tuple[float, ...], int], Trace] = field(default_factory=dict)  # cache

    @classmethod
    def start(
        cls,
        rows: int,
        depths: int,
        classes: int,
        *,
        multi_label: bool = False,
        keep_trace: bool = False,
        content: Content = "probabilities",
        scale: float = 1.0,
    ) -> Trace:
        """Return an empty trace for ``rows`` rows at depth 0."""
        probabilities = np.zeros((rows, depths, classes), np.float32)
        return cls(np.zeros(rows, np.int64), probabilities, multi_label, keep_trace, content=content, scale=scale)

    @classmethod
    def from_outputs(
        cls,
        probabilities: Array,
        *,
        multi_label: bool = False,
        content: Content = "probabilities",
        scale: float = 1.0,
    ) -> Trace:
        """Return the complete trace of saved outputs ``[rows, depths, classes]``; :meth:`at` selects a depth."""
        rows, depths, _ = probabilities.shape
        return cls(np.full(rows, depths), probabilities, multi_label, signals={}, content=content, scale=scale)

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
        """Divide the logits of depth m by ``temperatures[m - 1]``; the last temperature holds for deeper depths.

        Raises:
            PolicyError: the trace holds values, which have no temperature.
        """
        if self.content != "probabilities":
            raise PolicyError(f"temperatures change probabilities; these outputs are {self.content}")
        depths = self.probabilities.shape[1] if self.signals is not None else int(self.depth.max(initial=0))
        key = temperatures, depths
        if key not in self.tempered_traces:
            probabilities = apply_temperatures(self.probabilities[:, :depths], temperatures, self.multi_label)
            signals: dict[str, Array] | None = None if self.signals is None else {}
            self.tempered_traces[key] = replace(self, probabilities=probabilities, signals=signals, tempered_traces={})
        return replace(self.tempered_traces[key], depth=self.depth, common_depth=self.common_depth)

    @cached_property
    def last(self) -> Array:
        """``[rows, classes]``: the probabilities at each row's own depth."""
        last: Array = self.probabilities[np.arange(len(self.depth)), self.depth - 1]
        return last

    def now(self, name: str) -> Array:
        """``[rows]``: a signal at each row's own depth."""
        if self.signals is not None or SIGNALS[name].first is not None:
            return self.window(name, 1)[:, 0]
        now = self._to_questions(self.last, name)
        return SIGNALS[name].of_rows(now, now)

    def window(self, name: str, size: int) -> Array:
        """``[rows, size]``: a signal over each row's last ``size`` depths, oldest first.

        Rows that are not that deep repeat their first depth; policies exclude them by :attr:`depth`.
        """
        if self.signals is not None and self.common_depth is not None and self.common_depth >= size:
            # A view, where a general window is a copy.
            return self.at_all_depths(name)[:, self.common_depth - size : self.common_depth]
        rows = np.arange(len(self.depth))[:, None]
        steps = np.maximum(self.depth[:, None] + np.arange(-size, 0), 0)
        if self.signals is None:
            return self._signal(name, rows, steps)
        window: Array = self.at_all_depths(name)[rows, steps]
        return window

    def at_all_depths(self, name: str) -> Array:
        """``[rows, depths]``: a signal at all depths; computed once where they are all known."""
        depths = np.arange(self.probabilities.shape[1])
        cache = {} if self.signals is None else self.signals
        if name not in cache:
            cache[name] = self._signal(name, np.arange(len(self.depth))[:, None], depths)
        return cache[name]

    def _signal(self, name: str, rows: Ints, steps: Ints) -> Array:
        signal, now = SIGNALS[name], self._to_questions(self.probabilities[rows, steps], name)
        if signal.first is None:
            return signal.of_rows(now, now)
        before = self._to_questions(self.probabilities[rows, np.maximum(steps - 1, 0)], name)
        return np.where(steps == 0, signal.first, signal.of_rows(now, before))

    def _to_questions(self, outputs: Array, name: str) -> Array:
        if SIGNALS[name].needs != self.content:
            raise PolicyError(f"the signal {name!r} reads {SIGNALS[name].needs}; these outputs are {self.content}")
        return to_questions(outputs, self.multi_label, self.content, self.scale)

    def keep(self, index: Array) -> Trace:
        """Return the trace of the rows ``index``, numbers or a mask."""
        signals = None if self.signals is None else {name: values[index] for name, values in self.signals.items()}
        return replace(
            self,
            depth=self.depth[index],
            probabilities=self.probabilities[index],
            signals=signals,
            common_depth=None,
            tempered_traces={},
        )

    @staticmethod
    def join(traces: Sequence[Trace]) -> Trace:
        """Concatenate traces of live rows."""
        first = traces[0]
        depth = np.concatenate([t.depth for t in traces])
        probabilities: NDArray[Any] = np.concatenate([t.probabilities for t in traces])
        keep_trace = any(t.keep_trace for t in traces)
        return Trace(depth, probabilities, first.multi_label, keep_trace, content=first.content, scale=first.scale)


def apply_temperatures(probabilities: Array, temperatures: Sequence[float], multi_label: bool) -> Array:
    """``[..., depths, classes]`` as if the logits of each depth were divided by its temperature (Guo et al. 2017)."""
    steps = np.array(pad_temperatures(temperatures, probabilities.shape[-2]), probabilities.dtype)
    return divide_logits(probabilities, steps, multi_label)


def pad_temperatures(temperatures: Sequence[float], depths: int) -> list[float]:
    """One temperature for each depth: the last one holds for all deeper depths."""
    return [*temperatures[:depths], *[temperatures[-1]] * (depths - len(temperatures))]


def divide_logits(probabilities: Array, temperatures: Array, multi_label: bool) -> Array:
    """``[..., depths, classes]`` with the logits divided by ``temperatures [..., depths]``.

    ``softmax(z / T)`` is ``softmax(z) ** (1 / T)``, normalised; for a label of its own, over its two options. Computed
    in float64 and rounded once, as signals are.
    """
    exponents = 1 / temperatures.astype(np.float64)
    powers = to_questions(probabilities, multi_label).astype(np.float64) ** exponents[..., None, None]
    spread = powers / np.maximum(powers.sum(-1, keepdims=True), TINY)  # depths without probabilities stay 0
    whole: Array = spread[..., 1] if multi_label else spread[..., 0, :]
    return whole.astype(probabilities.dtype)


def read_entropy(probabilities: Array, multi_label: bool) -> Array:
    """``[..., classes] -> [...]``: the entropy of each depth's probabilities, which predictions report."""
    questions = to_questions(probabilities, multi_label)
    return SIGNALS["entropy"].of_rows(questions, questions)
