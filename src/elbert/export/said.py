"""What the exit heads have said, in nodes: the signals of this depth, and what rules remember of earlier ones.

The twin of ``elbert.exits``' signals and trace. A trace keeps every probability; a file carries from depth to depth
only what its rules need: for how many depths in a row something has held, or a signal's last few values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from elbert.export.graph import BOOL, FLOAT, INT64, Graph, Shape, Value

TINY = 1e-37  # stands for 0 under a logarithm; the smallest numbers are 0 to some devices


@dataclass(frozen=True)
class Memory:
    """One thing that rows carry: a number before depth 1, then ``[rows, *shape]``, here and after this depth."""

    before: float | int
    kind: int
    shape: Shape
    here: Value
    after: Value


@dataclass
class Said:
    """What was said about rows that all stand at ``depth``, a scalar, of ``depths``.

    ``probabilities [rows, classes]`` are of now.
    """

    g: Graph
    probabilities: Value
    depth: Value
    depths: int
    classes: int
    multi_label: bool
    memories: dict[str, Memory] = field(default_factory=dict)
    heard_at: str = ""  # the temperatures, where they are not the head's own
    _signals: dict[str, Value] = field(default_factory=dict)
    _others: dict[str, Said] = field(default_factory=dict)

    def now(self, signal: str) -> Value:
        """``[rows]``: a signal at this depth."""
        if signal not in self._signals:
            self._signals[signal] = SIGNALS[signal](self)
        return self._signals[signal]

    def run(self, name: str, holds: Callable[[], Value]) -> Value:
        """``[rows]``: for how many depths in a row, this one included, something has held; told once by its name."""
        name += self.heard_at
        if name not in self.memories:
            g = self.g
            so_far = g.input(g.fresh(name), INT64, ["live"])
            length = g.Where(holds(), g.Add(so_far, 1), 0)
            self.memories[name] = Memory(0, INT64, [], so_far, length)
        return self.memories[name].after

    def last(self, signal: str, size: int) -> Value:
        """``[rows, size]``: a signal over the last ``size`` depths, oldest first; 0 where there was none yet."""
        name = f"last_{size}_{signal}{self.heard_at}"
        if name not in self.memories:
            g = self.g
            past = g.input(g.fresh(name), FLOAT, ["live", size])
            newest = g.Unsqueeze(self.now(signal), [1])
            values = g.Concat(g.Slice(past, [1], [size], [1]), newest, axis=1) if size > 1 else newest
            self.memories[name] = Memory(0.0, FLOAT, [size], past, values)
        return self.memories[name].after

    @property
    def options(self) -> int:
        """How many options a question has."""
        return 2 if self.multi_label else self.classes

    @property
    def asked(self) -> Value:
        """``[rows, options]``, or ``[rows, questions, options]`` where every label is a question."""
        if "asked" not in self._signals:
            self._signals["asked"] = self._questions(self.probabilities)
        return self._signals["asked"]

    def before(self) -> Value:
        """What was said one depth before, in the same form; zeros at depth 1."""
        name = f"before{self.heard_at}"
        if name not in self.memories:
            past = self.g.input(self.g.fresh("before"), FLOAT, ["live", self.classes])
            self.memories[name] = Memory(0.0, FLOAT, [self.classes], past, self.probabilities)
        return self._questions(self.memories[name].here)

    def tempered(self, temperatures: tuple[float, ...]) -> Said:
        """The same as if the logits of depth m were divided by ``temperatures[m - 1]``; the last holds beyond."""
        name = f"{self.heard_at}_at_{'_'.join(map(str, temperatures))}"
        if name not in self._others:
            g = self.g
            every = [*temperatures, *[temperatures[-1]] * self.depths][: self.depths]
            power = g.Gather(1 / np.array(every, np.float32), g.Sub(self.depth, 1), axis=0)
            raised = g.Pow(self.asked, power)
            spread = g.Div(raised, g.ReduceSum(raised, [-1], keepdims=1))
            said = g.Gather(spread, 1, axis=-1) if self.multi_label else spread
            self._others[name] = replace(self, probabilities=said, heard_at=name, _signals={})
        return self._others[name]

    def most(self, values: Value) -> Value:
        """Of the least settled question, where large is unsettled."""
        return self.g.ReduceMax(values, [1], keepdims=0) if self.multi_label else values

    def least(self, values: Value) -> Value:
        """Of the least settled question, where small is unsettled."""
        return self.g.ReduceMin(values, [1], keepdims=0) if self.multi_label else values

    def _questions(self, probabilities: Value) -> Value:
        if not self.multi_label:
            return probabilities
        yes = self.g.Unsqueeze(probabilities, [-1])
        return self.g.Concat(self.g.Sub(1.0, yes), yes, axis=-1)


def entropy(said: Said) -> Value:
    """Normalised entropy."""
    g, scale = said.g, 1 / math.log(said.options) if said.options > 1 else 0.0
    return said.most(g.Mul(g.ReduceSum(entr(g, said.asked), [-1], keepdims=0), scale))


def confidence(said: Said) -> Value:
    """The largest probability."""
    return said.least(said.g.ReduceMax(said.asked, [-1], keepdims=0))


def gap(said: Said) -> Value:
    """The difference of the two largest probabilities; 1 where there is but one."""
    g = said.g
    if said.options < 2:
        return g.ReduceMax(g.Sub(said.asked, g.Sub(said.asked, 1.0)), [-1], keepdims=0)
    largest, _ = g.node("TopK", [said.asked, [2]], 2, axis=-1)
    first, second = g.node("Split", [largest], 2, axis=-1, num_outputs=2)
    return said.least(g.Squeeze(g.Sub(first, second), [-1]))


def same(said: Said) -> Value:
    """Whether the answer is that of the depth before, bool; false at depth 1."""
    g = said.g
    alike = g.Equal(g.ArgMax(said.asked, axis=-1, keepdims=0), g.ArgMax(said.before(), axis=-1, keepdims=0))
    if said.multi_label:
        alike = g.Cast(g.ReduceMin(g.Cast(alike, to=INT64), [1], keepdims=0), to=BOOL)
    return g.And(alike, g.Greater(said.depth, 1))


def divergence(said: Said) -> Value:
    """Jensen-Shannon divergence from the depth before, in nats; means nothing at depth 1."""
    g, now, before = said.g, said.asked, said.before()
    mixed = entr(g, g.Div(g.Add(now, before), 2.0))
    both = g.Sub(mixed, g.Div(g.Add(entr(g, now), entr(g, before)), 2.0))
    return said.most(g.Max(g.ReduceSum(both, [-1], keepdims=0), 0.0))


def entr(g: Graph, p: Value) -> Value:
    """``-p ln p``, and 0 at 0."""
    return g.Mul(g.Neg(p), g.Log(g.Max(p, TINY)))


SIGNALS: dict[str, Callable[[Said], Value]] = {f.__name__: f for f in (entropy, confidence, gap, same, divergence)}
