"""Signals: numbers that policies read at each depth. One entry here is a signal in Python, in ONNX files and on pages.

A signal is computed for each question of a row. A row with one answer has one question, whose options are the classes;
a multi-label row has one question per label, with the options no and yes; a row of values has one question per output,
with one option, the value itself. The signal of a row is that of its least settled question.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Content = Literal["probabilities", "values"]
"""What a trace holds: probabilities of classes, or values of outputs (regression)."""

TINY = 1e-38  # replaces 0 under a logarithm, where it is multiplied by 0; NaN stays NaN
TINY_IN_FILES = 1e-37  # some devices flush smaller numbers to 0
FLOAT = 1  # ONNX's number of float32


@dataclass(frozen=True)
class Signal:
    """One signal.

    needs:  what the trace must hold for it
    worst:  the end at which a question is least settled: a row's signal is that end of its questions'
    first:  the value at depth 1 of a signal that compares with the depth before; None if it reads one depth only
    array:  numpy, ``(now, before) [..., questions, options] -> [..., questions]``
    nodes:  ONNX, ``(graph, now, before, number of options)``, the same shapes, with operators as methods of the graph
    script: JavaScript, a function ``(now, before, tools)`` of one question's options, arrays of float32 numbers, where
            ``tools`` are ``{f32, sum, entr, top}``: round to float32, sum, ``-p ln p``, index of the first largest
    words:  for signals that are 1 or 0: what 1 and what 0 mean; else None
    scale:  the end of the scale in charts; None for the largest value shown
    about:  one phrase for documentation
    """

    name: str
    needs: Content
    worst: Literal["max", "min"]
    array: Callable[[Array, Array], Array]
    nodes: Callable[[Any, Any, Any, int], Any]
    script: str
    first: float | None = None
    words: tuple[str, str] | None = None
    scale: float | None = 1.0
    about: str = ""

    def of_rows(self, now: Array, before: Array) -> Array:
        """``[..., questions, options] -> [...]``: the signal of the least settled question."""
        values = self.array(now, before)
        if values.shape[-1] == 1:  # one question needs no search
            only: Array = values[..., 0]
            return only
        worst: Array = values.max(-1) if self.worst == "max" else values.min(-1)
        return worst


def to_questions(outputs: Array, multi_label: bool, content: Content = "probabilities", scale: float = 1.0) -> Array:
    """``[..., classes or outputs] -> [..., questions, options]``; values in units of ``scale``."""
    if content == "values":
        return np.asarray(outputs[..., None] / outputs.dtype.type(scale))
    return np.stack((1 - outputs, outputs), axis=-1) if multi_label else outputs[..., None, :]


def entropy_terms(p: Array) -> Array:
    """``-p ln p``, and 0 at 0, in float64: sums are rounded once, so that native code computes the same number."""
    p = p.astype(np.float64)
    return -p * np.log(np.maximum(p, TINY))


def node_entropy_terms(g: Any, p: Any) -> Any:
    """``-p ln p``, and 0 at 0, in ONNX."""
    return g.Mul(g.Neg(p), g.Log(g.Max(p, TINY_IN_FILES)))


def entropy(now: Array, before: Array) -> Array:
    """``-sum p ln p / ln C`` with ``0 ln 0 = 0`` (ELBERT, section 2.2)."""
    options = now.shape[-1]
    scaled: Array = entropy_terms(now).sum(-1) * (1 / math.log(options) if options > 1 else 0.0)
    return scaled.astype(now.dtype)


def entropy_nodes(g: Any, now: Any, before: Any, options: int) -> Any:
    """The same in ONNX."""
    terms = g.ReduceSum(node_entropy_terms(g, now), [-1], keepdims=0)
    return g.Mul(terms, 1 / math.log(options) if options > 1 else 0.0)


def gap(now: Array, before: Array) -> Array:
    """The difference of the two largest probabilities."""
    if now.shape[-1] < 2:
        now = np.concatenate((now, now - 1), -1)  # one option alone has nothing to be near to
    largest = now if now.shape[-1] == 2 else np.partition(now, -2)[..., -2:]
    apart: Array = np.abs(largest[..., 1] - largest[..., 0])
    return apart


def gap_nodes(g: Any, now: Any, before: Any, options: int) -> Any:
    """The same in ONNX."""
    if options < 2:
        return g.ReduceMax(g.Sub(now, g.Sub(now, 1.0)), [-1], keepdims=0)
    largest, _ = g.node("TopK", [now, [2]], 2, axis=-1)
    first, second = g.node("Split", [largest], 2, axis=-1, num_outputs=2)
    return g.Squeeze(g.Sub(first, second), [-1])


def divergence(now: Array, before: Array) -> Array:
    """Jensen-Shannon divergence from the depth before, in nats."""
    middle = (now.astype(np.float64) + before) / 2
    both = entropy_terms(middle) - (entropy_terms(now) + entropy_terms(before)) / 2
    divergences: Array = np.maximum(both.sum(-1), 0)
    return divergences.astype(now.dtype)


def divergence_nodes(g: Any, now: Any, before: Any, options: int) -> Any:
    """The same in ONNX."""
    mixed = node_entropy_terms(g, g.Div(g.Add(now, before), 2.0))
    both = g.Sub(mixed, g.Div(g.Add(node_entropy_terms(g, now), node_entropy_terms(g, before)), 2.0))
    return g.Max(g.ReduceSum(both, [-1], keepdims=0), 0.0)


def same_nodes(g: Any, now: Any, before: Any, options: int) -> Any:
    """1 where the first largest option is that of the depth before, in ONNX."""
    tops = (g.ArgMax(options_of, axis=-1, keepdims=0) for options_of in (now, before))
    return g.Cast(g.Equal(*tops), to=FLOAT)


SIGNALS: dict[str, Signal] = {
    signal.name: signal
    for signal in (
        Signal(
            "entropy",
            needs="probabilities",
            worst="max",
            array=entropy,
            nodes=entropy_nodes,
            script="(now, before, { f32, sum, entr }) => "
            "f32(sum(now.map(entr)) * (now.length > 1 ? 1 / Math.log(now.length) : 0))",
            about="the entropy over its maximum, ln C, from 0 to 1",
        ),
        Signal(
            "confidence",
            needs="probabilities",
            worst="min",
            array=lambda now, before: now.max(-1),
            nodes=lambda g, now, before, options: g.ReduceMax(now, [-1], keepdims=0),
            script="(now) => Math.max(...now)",
            about="the largest probability",
        ),
        Signal(
            "gap",
            needs="probabilities",
            worst="min",
            array=gap,
            nodes=gap_nodes,
            script="(now, before, { f32, top }) => { const first = now[top(now)]; "
            "const others = now.length > 1 ? now.filter((_, i) => i !== top(now)) : [f32(first - 1)]; "
            "return f32(first - Math.max(...others)); }",
            about="the difference of the two largest probabilities",
        ),
        Signal(
            "same",
            needs="probabilities",
            worst="min",
            array=lambda now, before: now.argmax(-1) == before.argmax(-1),
            nodes=same_nodes,
            script="(now, before, { top }) => (top(now) === top(before) ? 1 : 0)",
            first=0.0,  # nothing is the same yet
            words=("same class", "another class"),
            about="whether the predicted class is that of the depth before, 1 or 0",
        ),
        Signal(
            "divergence",
            needs="probabilities",
            worst="max",
            array=divergence,
            nodes=divergence_nodes,
            script="(now, before, { f32, sum, entr }) => f32(Math.max(sum(now.map((p, i) => "
            "entr((p + before[i]) / 2) - (entr(p) + entr(before[i])) / 2)), 0))",
            first=math.inf,  # nothing is near yet
            scale=None,
            about="the Jensen-Shannon divergence from the depth before, in nats",
        ),
        Signal(
            "value",
            needs="values",
            worst="max",
            array=lambda now, before: now[..., 0],
            nodes=lambda g, now, before, options: g.Squeeze(now, [-1]),
            script="(now) => now[0]",
            scale=None,
            about="the value itself, the largest of several outputs",
        ),
        Signal(
            "change",
            needs="values",
            worst="max",
            array=lambda now, before: np.abs(now - before)[..., 0],
            nodes=lambda g, now, before, options: g.Squeeze(g.Abs(g.Sub(now, before)), [-1]),
            script="(now, before, { f32 }) => Math.abs(f32(now[0] - before[0]))",
            first=math.inf,
            scale=None,
            about="the absolute difference from the value of the depth before",
        ),
    )
}
