"""Policies in ONNX nodes: the signals of a depth, the state that rules carry from depth to depth, and every rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from elbert.errors import PolicyError
from elbert.exits import Depth, Rule
from elbert.exits.policies import (
    AGREE,
    STABLE,
    TREND,
    Confidence,
    Divergence,
    Entropy,
    Gap,
    Patience,
    PatientConfidence,
    Settled,
)
from elbert.export.dials import Dial, Set
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


def fires(one: Set, said: Said) -> Value:
    """``[rows]`` or a scalar, bool: where a rule lets rows leave.

    Raises:
        PolicyError: the rule is of a kind that nobody has written in nodes.
    """
    if type(one.rule) not in RULES:
        known = ", ".join(kind.name for kind in RULES)
        raise PolicyError(f"{one.rule.name}: a rule that cannot be exported; those that can are {known}")
    for temperatures in one.temperatures:
        said = said.tempered(temperatures)
    return RULES[type(one.rule)](one.rule, one.dials, said)


def decided(rules: list[Set], said: Said, depths: int) -> Value:
    """``[rows]``: the index of the first rule that fires, or of ``last``, or -1 for rows that stay."""
    g = said.g
    decision = g.Where(g.GreaterOrEqual(said.depth, depths), len(rules), STAY)
    early = g.Less(said.depth, depths)  # the last depth answers, whatever a rule says there
    for index, one in reversed(list(enumerate(rules))):
        decision = g.Where(g.And(fires(one, said), early), index, decision)
    return g.Expand(decision, g.Shape(said.probabilities, end=1))


def foreseen(g: Graph, rules: list[Set], depths: int) -> tuple[Value, Value]:
    """``(depth, reason)``, scalars: where all rows leave by rules that look at nothing but depth."""
    depth, reason = g.value(depths), g.value(len(rules))
    for one in rules:
        depth = g.Min(depth, one.dials["depth"].value)
    for index, one in reversed(list(enumerate(rules))):
        early = g.And(g.LessOrEqual(one.dials["depth"].value, depth), g.Less(depth, depths))
        reason = g.Where(early, index, reason)
    return depth, reason


def _depth(rule: Rule, dials: Mapping[str, Dial], said: Said) -> Value:
    return said.g.GreaterOrEqual(said.depth, dials["depth"].value)


def _entropy(rule: Rule, dials: Mapping[str, Dial], said: Said) -> Value:
    return said.g.Less(said.now("entropy"), dials["threshold"].value)


def _confidence(rule: Rule, dials: Mapping[str, Dial], said: Said) -> Value:
    return said.g.GreaterOrEqual(said.now("confidence"), dials["threshold"].value)


def _gap(rule: Rule, dials: Mapping[str, Dial], said: Said) -> Value:
    return said.g.GreaterOrEqual(said.now("gap"), dials["threshold"].value)


def _patience(rule: Rule, dials: Mapping[str, Dial], said: Said) -> Value:
    return said.g.GreaterOrEqual(_same_for(said), dials["times"].value)


def _patient_confidence(rule: Rule, dials: Mapping[str, Dial], said: Said) -> Value:
    run = said.run(f"sure_{dials['threshold'].name}", lambda: _entropy(rule, dials, said))
    return said.g.GreaterOrEqual(run, dials["times"].value)


def _divergence(rule: Rule, dials: Mapping[str, Dial], said: Said) -> Value:
    g, threshold = said.g, dials["threshold"]

    def near() -> Value:  # at depth 1 there is nothing to be near to
        return g.And(g.Less(said.now("divergence"), threshold.value), g.Greater(said.depth, 1))

    return g.GreaterOrEqual(said.run(f"near_{threshold.name}", near), dials["times"].value)


def _settled(rule: Rule, dials: Mapping[str, Dial], said: Said) -> Value:
    g, size = said.g, dials["size"]
    # One answer throughout: the first depth of the window has nothing before it to agree with.
    one = g.GreaterOrEqual(g.Add(_same_for(said), 1), size.value)
    kind = getattr(rule, "rule", AGREE)
    if kind == TREND:
        first = g.Gather(_window(said, "gap", size), 0, axis=1)
        never_falls = g.GreaterOrEqual(g.Add(_risen_for(said), 1), size.value)
        return g.And(g.And(one, _apart(g, first, dials)), never_falls)
    far = said.run(f"far_{dials['margin'].name}", lambda: _apart(g, said.now("gap"), dials))
    agreed = g.And(one, g.GreaterOrEqual(far, size.value))
    if kind != STABLE:
        return agreed
    window = _window(said, "confidence", size)
    moves = g.Sub(g.ReduceMax(window, [1], keepdims=0), g.ReduceMin(window, [1], keepdims=0))
    return g.And(agreed, g.LessOrEqual(moves, dials["range"].value))


def _apart(g: Graph, gap: Value, dials: Mapping[str, Dial]) -> Value:
    return g.Greater(gap, g.Mul(dials["margin"].value, 2.0))


def _same_for(said: Said) -> Value:
    return said.run("same", lambda: said.now("same"))


def _risen_for(said: Said) -> Value:
    g = said.g

    def not_fallen() -> Value:
        before = g.Gather(said.last("confidence", 2), 0, axis=1)
        return g.And(g.GreaterOrEqual(said.now("confidence"), before), g.Greater(said.depth, 1))

    return said.run("risen", not_fallen)


def _window(said: Said, signal: str, size: Dial) -> Value:
    """``[rows, size]``; where the size is an input, a cut from the end of all depths."""
    most = size.at_most(said.depths)
    values = said.last(signal, most)
    if size.fixed:
        return values
    g = said.g
    start = g.Sub(most, g.Min(size.value, most))  # a window longer than the model never fills: any values will do
    return g.Slice(values, g.Unsqueeze(start, [0]), [most], [1])


STAY = -1

RULES: dict[type[Rule], Callable[[Rule, Mapping[str, Dial], Said], Value]] = {
    Depth: _depth,
    Entropy: _entropy,
    Confidence: _confidence,
    Gap: _gap,
    Patience: _patience,
    PatientConfidence: _patient_confidence,
    Divergence: _divergence,
    Settled: _settled,
}
