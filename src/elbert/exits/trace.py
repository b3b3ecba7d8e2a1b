"""The trace: the probabilities of each row at each depth so far, and the signals that are computed from them.

It is on the host, in numpy: a decision over a few dozen rows takes microseconds there, a tenth of the time of small
tensor operations, and on an accelerator other rows can compute meanwhile. It keeps probabilities and computes a
signal when a policy reads it: most rows exit before most signals are needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


Array = NDArray[Any]
Signal = Callable[[Array, Array], Array]

TINY = 1e-38  # replaces 0 under a logarithm, where it is multiplied by 0; NaN stays NaN


def to_distributions(probabilities: Array, multi_label: bool) -> Array:
    """``[..., classes] -> [..., distributions, options]``."""
    if multi_label:
        return np.stack((1 - probabilities, probabilities), axis=-1)
    return probabilities[..., None, :]


def apply_temperatures(probabilities: Array, temperatures: Sequence[float], multi_label: bool) -> Array:
    """``[..., depths, classes]`` as if the logits of each depth were divided by its temperature (Guo et al. 2017).

    ``softmax(z / T)`` is ``softmax(z) ** (1 / T)``, normalised; for a label of its own, over its two options.
    """
    depths = probabilities.shape[-2]
    steps = np.array([*temperatures[:depths], *[temperatures[-1]] * (depths - len(temperatures))], probabilities.dtype)
    powers = to_distributions(probabilities, multi_label) ** (1 / steps)[:, None, None]
    spread = powers / np.maximum(powers.sum(-1, keepdims=True), TINY)  # depths without probabilities stay 0
    whole: Array = spread[..., 1] if multi_label else spread[..., 0, :]
    return whole


def entropy_terms(p: Array) -> Array:
    """``-p ln p``, and 0 at 0."""
    return -p * np.log(np.maximum(p, TINY))


def reduce_max(values: Array) -> Array:
    """``[..., distributions] -> [...]``: the largest; one distribution needs no search."""
    found: Array = values[..., 0] if values.shape[-1] == 1 else values.max(-1)
    return found


def reduce_min(values: Array) -> Array:
    """``[..., distributions] -> [...]``: the smallest."""
    found: Array = values[..., 0] if values.shape[-1] == 1 else values.min(-1)
    return found


def entropy(now: Array, before: Array) -> Array:
    """Normalised entropy in [0, 1], ``-sum p ln p / ln C`` with ``0 ln 0 = 0`` (ELBERT, section 2.2)."""
    options = now.shape[-1]
    scale = 1 / math.log(options) if options > 1 else 0.0
    return reduce_max(entropy_terms(now).sum(-1) * scale)


def confidence(now: Array, before: Array) -> Array:
    """The largest probability (Schwartz et al., ACL 2020)."""
    return reduce_min(now.max(-1))


def gap(now: Array, before: Array) -> Array:
    """The difference of the two largest probabilities (CALM, NeurIPS 2022)."""
    if now.shape[-1] < 2:
        now = np.concatenate((now, now - 1), -1)  # one option alone has nothing to be near to
    largest = now if now.shape[-1] == 2 else np.partition(now, -2)[..., -2:]
    return reduce_min(np.abs(largest[..., 1] - largest[..., 0]))


def same(now: Array, before: Array) -> Array:
    """1 where the predicted label is that of the depth before, else 0."""
    return reduce_min(now.argmax(-1) == before.argmax(-1))


def divergence(now: Array, before: Array) -> Array:
    """Jensen-Shannon divergence from the depth before, in nats (F-PABEE, ICASSP 2023)."""
    both = entropy_terms((now + before) / 2) - (entropy_terms(now) + entropy_terms(before)) / 2
    return reduce_max(np.maximum(both.sum(-1), 0))


SIGNALS: dict[str, Signal] = {f.__name__: f for f in (entropy, confidence, gap, same, divergence)}

# At depth 1 there is no depth before: nothing is the same yet, and nothing is near.
FIRST_DEPTH_VALUES = {"same": 0.0, "divergence": math.inf}
