"""Policies in ONNX nodes: signals of a depth, state carried from depth to depth, and every rule."""

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
    WindowRule,
)
from elbert.export.dials import BoundRule, Dial
from elbert.export.graph import BOOL, FLOAT, INT64, Graph, Shape, Value

TINY = 1e-37  # replaces 0 in a logarithm; some devices flush smaller numbers to 0


@dataclass(frozen=True)
class Memory:
    """One value carried per row ``[rows, *shape]``: the initial number, its name here and after this depth."""

    before: float | int
    kind: int
    shape: Shape
    here: Value
    after: Value


@dataclass
class ExitState:
    """The inputs of a decision: rows that are all at ``depth`` (a scalar) of ``depths``.

    ``probabilities [rows, classes]`` are those of this depth.
    """

    g: Graph
    probabilities: Value
    depth: Value
    depths: int
    classes: int
    multi_label: bool
    memories: dict[str, Memory] = field(default_factory=dict)
    temperature_key: str = ""  # distinguishes memories at other temperatures
    _signals: dict[str, Value] = field(default_factory=dict)
    _by_temperature: dict[str, ExitState] = field(default_factory=dict)

    def now(self, signal: str) -> Value:
        """``[rows]``: a signal at this depth."""
        if signal not in self._signals:
            self._signals[signal] = SIGNALS[signal](self)
        return self._signals[signal]

    def run(self, name: str, holds: Callable[[], Value]) -> Value:
        """``[rows]``: the number of consecutive depths, up to this one, where ``holds``; computed once per name."""
        name += self.temperature_key
        if name not in self.memories:
            g = self.g
            so_far = g.input(g.fresh(name), INT64, ["live"])
            length = g.Where(holds(), g.Add(so_far, 1), 0)
            self.memories[name] = Memory(0, INT64, [], so_far, length)
        return self.memories[name].after

    def last(self, signal: str, size: int) -> Value:
        """``[rows, size]``: a signal over the last ``size`` depths, oldest first; 0 before depth 1."""
        name = f"last_{size}_{signal}{self.temperature_key}"
        if name not in self.memories:
            g = self.g
            past = g.input(g.fresh(name), FLOAT, ["live", size])
            newest = g.Unsqueeze(self.now(signal), [1])
            values = g.Concat(g.Slice(past, [1], [size], [1]), newest, axis=1) if size > 1 else newest
            self.memories[name] = Memory(0.0, FLOAT, [size], past, values)
        return self.memories[name].after

    @property
    def options(self) -> int:
        """The number of outcomes in each distribution."""
        return 2 if self.multi_label else self.classes

    @property
    def distributions(self) -> Value:
        """``[rows, options]``, or ``[rows, labels, options]`` (no, yes) for multi-label."""
        if "distributions" not in self._signals:
            self._signals["distributions"] = self._to_distributions(self.probabilities)
        return self._signals["distributions"]

    def before(self) -> Value:
        """The distributions of the depth before, in the same form; zeros at depth 1."""
        name = f"before{self.temperature_key}"
        if name not in self.memories:
            past = self.g.input(self.g.fresh("before"), FLOAT, ["live", self.classes])
            self.memories[name] = Memory(0.0, FLOAT, [self.classes], past, self.probabilities)
        return self._to_distributions(self.memories[name].here)

    def tempered(self, temperatures: tuple[float, ...]) -> ExitState:
        """The state with the logits of depth m divided by ``temperatures[m - 1]``; the last applies to deeper ones."""
        name = f"{self.temperature_key}_at_{'_'.join(map(str, temperatures))}"
        if name not in self._by_temperature:
            g = self.g
            every = [*temperatures, *[temperatures[-1]] * self.depths][: self.depths]
            power = g.Gather(1 / np.array(every, np.float32), g.Sub(self.depth, 1), axis=0)
            raised = g.Pow(self.distributions, power)
            spread = g.Div(raised, g.ReduceSum(raised, [-1], keepdims=1))
            state = g.Gather(spread, 1, axis=-1) if self.multi_label else spread
            self._by_temperature[name] = replace(self, probabilities=state, temperature_key=name, _signals={})
        return self._by_temperature[name]

    def most(self, values: Value) -> Value:
        """Reduce over labels by the maximum, for signals where large means unsure; multi-label only."""
        return self.g.ReduceMax(values, [1], keepdims=0) if self.multi_label else values

    def least(self, values: Value) -> Value:
        """Reduce over labels by the minimum, for signals where small means unsure; multi-label only."""
        return self.g.ReduceMin(values, [1], keepdims=0) if self.multi_label else values

    def _to_distributions(self, probabilities: Value) -> Value:
        if not self.multi_label:
            return probabilities
        yes = self.g.Unsqueeze(probabilities, [-1])
        return self.g.Concat(self.g.Sub(1.0, yes), yes, axis=-1)


def entropy(state: ExitState) -> Value:
    """``[rows]``: entropy in [0, 1], normalized by its maximum."""
    g, scale = state.g, 1 / math.log(state.options) if state.options > 1 else 0.0
    return state.most(g.Mul(g.ReduceSum(entropy_terms(g, state.distributions), [-1], keepdims=0), scale))


def confidence(state: ExitState) -> Value:
    """``[rows]``: the largest probability."""
    return state.least(state.g.ReduceMax(state.distributions, [-1], keepdims=0))


def gap(state: ExitState) -> Value:
    """``[rows]``: the difference of the two largest probabilities; 1 for a single class."""
    g = state.g
    if state.options < 2:
        return g.ReduceMax(g.Sub(state.distributions, g.Sub(state.distributions, 1.0)), [-1], keepdims=0)
    largest, _ = g.node("TopK", [state.distributions, [2]], 2, axis=-1)
    first, second = g.node("Split", [largest], 2, axis=-1, num_outputs=2)
    return state.least(g.Squeeze(g.Sub(first, second), [-1]))


def same(state: ExitState) -> Value:
    """``[rows]`` bool: the prediction equals that of the depth before; false at depth 1."""
    g = state.g
    alike = g.Equal(g.ArgMax(state.distributions, axis=-1, keepdims=0), g.ArgMax(state.before(), axis=-1, keepdims=0))
    if state.multi_label:
        alike = g.Cast(g.ReduceMin(g.Cast(alike, to=INT64), [1], keepdims=0), to=BOOL)
    return g.And(alike, g.Greater(state.depth, 1))


def divergence(state: ExitState) -> Value:
    """``[rows]``: Jensen-Shannon divergence from the depth before, in nats; undefined at depth 1."""
    g, now, before = state.g, state.distributions, state.before()
    mixed = entropy_terms(g, g.Div(g.Add(now, before), 2.0))
    both = g.Sub(mixed, g.Div(g.Add(entropy_terms(g, now), entropy_terms(g, before)), 2.0))
    return state.most(g.Max(g.ReduceSum(both, [-1], keepdims=0), 0.0))


def entropy_terms(g: Graph, p: Value) -> Value:
    """``-p ln p``, with value 0 at ``p = 0``."""
    return g.Mul(g.Neg(p), g.Log(g.Max(p, TINY)))


SIGNALS: dict[str, Callable[[ExitState], Value]] = {f.__name__: f for f in (entropy, confidence, gap, same, divergence)}


def fires(one: BoundRule, state: ExitState) -> Value:
    """``[rows]`` or a scalar, bool: where a rule ends rows.

    Raises:
        PolicyError: this kind of rule has no ONNX nodes.
    """
    if type(one.rule) not in RULES:
        known = ", ".join(kind.name for kind in RULES)
        raise PolicyError(f"{one.rule.name}: this rule cannot be exported; expected one of {known}")
    for temperatures in one.temperatures:
        state = state.tempered(temperatures)
    return RULES[type(one.rule)](one.rule, one.dials, state)


def decide(rules: list[BoundRule], state: ExitState, depths: int) -> Value:
    """``[rows]``: the index of the first rule that fires, or of ``last``, or -1 for rows that continue."""
    g = state.g
    decision = g.Where(g.GreaterOrEqual(state.depth, depths), len(rules), STAY)
    early = g.Less(state.depth, depths)  # at the last depth the reason is always "last"
    for index, one in reversed(list(enumerate(rules))):
        decision = g.Where(g.And(fires(one, state), early), index, decision)
    return g.Expand(decision, g.Shape(state.probabilities, end=1))


def fixed_exit(g: Graph, rules: list[BoundRule], depths: int) -> tuple[Value, Value]:
    """``(depth, reason)``, scalars: the exit of all rows under rules that read only the depth."""
    depth, reason = g.value(depths), g.value(len(rules))
    for one in rules:
        depth = g.Min(depth, one.dials["depth"].value)
    for index, one in reversed(list(enumerate(rules))):
        early = g.And(g.LessOrEqual(one.dials["depth"].value, depth), g.Less(depth, depths))
        reason = g.Where(early, index, reason)
    return depth, reason


def _depth(rule: Rule, dials: Mapping[str, Dial], state: ExitState) -> Value:
    return state.g.GreaterOrEqual(state.depth, dials["depth"].value)


def _entropy(rule: Rule, dials: Mapping[str, Dial], state: ExitState) -> Value:
    return state.g.Less(state.now("entropy"), dials["threshold"].value)


def _confidence(rule: Rule, dials: Mapping[str, Dial], state: ExitState) -> Value:
    return state.g.GreaterOrEqual(state.now("confidence"), dials["threshold"].value)


def _gap(rule: Rule, dials: Mapping[str, Dial], state: ExitState) -> Value:
    return state.g.GreaterOrEqual(state.now("gap"), dials["threshold"].value)


def _patience(rule: Rule, dials: Mapping[str, Dial], state: ExitState) -> Value:
    return state.g.GreaterOrEqual(_count_same(state), dials["times"].value)


def _patient_confidence(rule: Rule, dials: Mapping[str, Dial], state: ExitState) -> Value:
    run = state.run(f"sure_{dials['threshold'].name}", lambda: _entropy(rule, dials, state))
    return state.g.GreaterOrEqual(run, dials["times"].value)


def _divergence(rule: Rule, dials: Mapping[str, Dial], state: ExitState) -> Value:
    g, threshold = state.g, dials["threshold"]

    def near() -> Value:  # depth 1 has no depth before it
        return g.And(g.Less(state.now("divergence"), threshold.value), g.Greater(state.depth, 1))

    return g.GreaterOrEqual(state.run(f"near_{threshold.name}", near), dials["times"].value)


def _window_agrees(rule: Rule, dials: Mapping[str, Dial], state: ExitState) -> Value:
    g, size = state.g, dials["size"]
    # The same prediction in the whole window: ``size`` depths have ``size - 1`` comparisons.
    one = g.GreaterOrEqual(g.Add(_count_same(state), 1), size.value)
    kind = getattr(rule, "rule", AGREE)
    if kind == TREND:
        first = g.Gather(_last_values(state, "gap", size), 0, axis=1)
        never_falls = g.GreaterOrEqual(g.Add(_count_rising(state), 1), size.value)
        return g.And(g.And(one, _is_gap_wide(g, first, dials)), never_falls)
    far = state.run(f"far_{dials['margin'].name}", lambda: _is_gap_wide(g, state.now("gap"), dials))
    agreed = g.And(one, g.GreaterOrEqual(far, size.value))
    if kind != STABLE:
        return agreed
    window = _last_values(state, "confidence", size)
    moves = g.Sub(g.ReduceMax(window, [1], keepdims=0), g.ReduceMin(window, [1], keepdims=0))
    return g.And(agreed, g.LessOrEqual(moves, dials["range"].value))


def _is_gap_wide(g: Graph, gap: Value, dials: Mapping[str, Dial]) -> Value:
    return g.Greater(gap, g.Mul(dials["margin"].value, 2.0))


def _count_same(state: ExitState) -> Value:
    return state.run("same", lambda: state.now("same"))


def _count_rising(state: ExitState) -> Value:
    g = state.g

    def not_fallen() -> Value:
        before = g.Gather(state.last("confidence", 2), 0, axis=1)
        return g.And(g.GreaterOrEqual(state.now("confidence"), before), g.Greater(state.depth, 1))

    return state.run("risen", not_fallen)


def _last_values(state: ExitState, signal: str, size: Dial) -> Value:
    """``[rows, size]``: a signal over the window; where the size is an input, sliced from the end of all depths."""
    most = size.at_most(state.depths)
    values = state.last(signal, most)
    if size.fixed:
        return values
    g = state.g
    start = g.Sub(
        most, g.Min(size.value, most)
    )  # a window longer than the model never fills, so its values do not matter
    return g.Slice(values, g.Unsqueeze(start, [0]), [most], [1])


STAY = -1

RULES: dict[type[Rule], Callable[[Rule, Mapping[str, Dial], ExitState], Value]] = {
    Depth: _depth,
    Entropy: _entropy,
    Confidence: _confidence,
    Gap: _gap,
    Patience: _patience,
    PatientConfidence: _patient_confidence,
    Divergence: _divergence,
    WindowRule: _window_agrees,
}
