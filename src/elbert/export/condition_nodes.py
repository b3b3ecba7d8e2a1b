"""Policies in ONNX nodes: the five conditions over signals of a depth, with state carried from depth to depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from elbert.errors import PolicyError
from elbert.exits import STAY
from elbert.exits.conditions import AtDepth, AtStart, Condition, Held, Number, Of, Rising
from elbert.exits.signals import SIGNALS
from elbert.export.dials import BoundRule, Dial
from elbert.export.graph import FLOAT, INT64, Graph, Shape, Value

COMPARISONS = {"<": "Less", "<=": "LessOrEqual", ">": "Greater", ">=": "GreaterOrEqual", "==": "Equal"}


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
        """``[rows]``: a signal at this depth.

        Raises:
            PolicyError: it reads something else than probabilities.
        """
        if signal not in self._signals:
            g, about = self.g, SIGNALS[signal]
            if about.needs != "probabilities":
                raise PolicyError(f"the signal {signal!r} reads {about.needs}; a file has probabilities")
            now = self.distributions
            value = about.nodes(g, now, now if about.first is None else self.before(), self.options)
            if self.multi_label:
                value = (g.ReduceMax if about.worst == "max" else g.ReduceMin)(value, [1], keepdims=0)
            is_later = g.Greater(self.depth, 1)
            self._signals[signal] = value if about.first is None else g.Where(is_later, value, float(about.first))
        return self._signals[signal]

    def run(self, name: str, holds: Callable[[], Value]) -> Value:
        """``[rows]``: the number of consecutive depths, up to this one, where ``holds``; computed once per name."""
        name += self.temperature_key
        if name not in self.memories:
            g = self.g
            so_far = g.input(g.fresh("run"), INT64, ["live"])
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

    def _to_distributions(self, probabilities: Value) -> Value:
        if not self.multi_label:
            return probabilities
        yes = self.g.Unsqueeze(probabilities, [-1])
        return self.g.Concat(self.g.Sub(1.0, yes), yes, axis=-1)


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
    exits = [
        reduce(g.Max, [bind(g, c.depth, one.dials, whole=True) for c in one.conditions if isinstance(c, AtDepth)])
        for one in rules
    ]
    depth, reason = reduce(g.Min, exits, g.value(depths)), g.value(len(rules))
    for index, exit_depth in reversed(list(enumerate(exits))):
        early = g.And(g.LessOrEqual(exit_depth, depth), g.Less(depth, depths))
        reason = g.Where(early, index, reason)
    return depth, reason


def fires(one: BoundRule, state: ExitState) -> Value:
    """``[rows]`` or a scalar, bool: where a rule ends rows."""
    for temperatures in one.temperatures:
        state = state.tempered(temperatures)
    return reduce(state.g.And, [holds(condition, one.dials, state) for condition in one.conditions])


def holds(condition: Condition, dials: Mapping[str, Dial], state: ExitState) -> Value:
    """``[rows]`` or a scalar, bool: where a condition holds."""
    g = state.g
    if isinstance(condition, AtDepth):
        return g.GreaterOrEqual(state.depth, bind(g, condition.depth, dials, whole=True))
    if isinstance(condition, Held):
        if condition.times == 1:
            return compare(state.now(condition.signal), condition, dials, state)
        key = f"{condition.signal} {condition.op} {name_number(condition.threshold, dials)}"
        run = state.run(key, lambda: compare(state.now(condition.signal), condition, dials, state))
        return g.GreaterOrEqual(run, bind(g, condition.times, dials, whole=True))
    size = bind(g, condition.size, dials, whole=True)
    if isinstance(condition, Rising):  # ``size`` depths have ``size - 1`` steps
        return g.GreaterOrEqual(g.Add(count_rising(state, condition.signal), 1), size)
    window = last_values(state, condition.signal, condition.size, dials)
    if isinstance(condition, AtStart):
        here = compare(g.Gather(window, 0, axis=1), condition, dials, state)
    else:
        moves = g.Sub(g.ReduceMax(window, [1], keepdims=0), g.ReduceMin(window, [1], keepdims=0))
        here = g.LessOrEqual(moves, bind(g, condition.limit, dials))
    return g.And(here, g.GreaterOrEqual(state.depth, size))


def compare(values: Value, condition: Held | AtStart, dials: Mapping[str, Dial], state: ExitState) -> Value:
    """Where the values fulfil the comparison of a condition."""
    comparison: Callable[..., Value] = getattr(state.g, COMPARISONS[condition.op])
    return comparison(values, bind(state.g, condition.threshold, dials))


def bind(g: Graph, number: Number, dials: Mapping[str, Dial], *, whole: bool = False) -> Value:
    """A number of a condition as a value, in the type of probabilities, or int64 for ``whole`` numbers."""
    kind = np.int64 if whole else np.float32
    if not isinstance(number, Of):
        return g.value(np.array(number, kind))
    dial = dials[number.dial]
    if dial.fixed:
        return g.value(np.array(number.value({number.dial: dial.default}), kind))
    value = dial.value if number.factor == 1 else g.Mul(dial.value, np.array(number.factor, kind))
    return value if number.plus == 0 else g.Add(value, np.array(number.plus, kind))


def name_number(number: Number, dials: Mapping[str, Dial]) -> str:
    """A name that equal numbers share."""
    return f"{dials[number.dial].name} * {number.factor} + {number.plus}" if isinstance(number, Of) else f"{number:g}"


def count_rising(state: ExitState, signal: str) -> Value:
    """``[rows]``: the number of consecutive steps, up to this depth, at which a signal has not fallen."""
    g = state.g

    def has_not_fallen() -> Value:
        before = g.Gather(state.last(signal, 2), 0, axis=1)
        return g.And(g.GreaterOrEqual(state.now(signal), before), g.Greater(state.depth, 1))

    return state.run(f"{signal} rising", has_not_fallen)


def last_values(state: ExitState, signal: str, size: Number, dials: Mapping[str, Dial]) -> Value:
    """``[rows, size]``: a signal over the window; where the size is an input, sliced from the end of all depths."""
    g, depths = state.g, state.depths
    if not isinstance(size, Of):
        return state.last(signal, min(int(size), depths))
    if (dial := dials[size.dial]).fixed:
        return state.last(signal, max(1, min(int(size.value({size.dial: dial.default})), depths)))
    # A window longer than the model never fills, so its values do not matter.
    start = g.Sub(depths, g.Max(g.Min(bind(g, size, dials, whole=True), depths), 1))
    return g.Slice(state.last(signal, depths), g.Unsqueeze(start, [0]), [depths], [1])
