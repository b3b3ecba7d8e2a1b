"""Policies in ONNX nodes: the five conditions over signals of a depth, with state carried from depth to depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from elbert.errors import PolicyError
from elbert.exits import STAY
from elbert.exits.conditions import Condition, Number, Of
from elbert.exits.signals import SIGNALS, Content
from elbert.export.dials import BoundRule, Dial
from elbert.export.graph import FLOAT, Graph, Value

LAST = np.iinfo(np.int64).max  # the end of a slice that has no end
COMPARISONS = {"<": "Less", "<=": "LessOrEqual", ">": "Greater", ">=": "GreaterOrEqual", "==": "Equal"}


@dataclass(frozen=True)
class Memory:
    """Numbers carried per row, ``[rows, size]``, zeros at first: their names here and after this depth."""

    size: int
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
    content: Content = "probabilities"
    scale: float = 1.0  # the unit in which signals read values
    memories: dict[str, Memory] = field(default_factory=dict)
    temperature_key: str = ""  # distinguishes memories at other temperatures
    _signals: dict[str, Value] = field(default_factory=dict)
    _by_temperature: dict[str, ExitState] = field(default_factory=dict)

    def now(self, signal: str) -> Value:
        """``[rows]``: a signal at this depth.

        Raises:
            PolicyError: it reads something else than these outputs.
        """
        if signal not in self._signals:
            g, about = self.g, SIGNALS[signal]
            if about.needs != self.content:
                raise PolicyError(f"the signal {signal!r} reads {about.needs}; the file has {self.content}")
            now = self.distributions
            value = about.nodes(g, now, now if about.first is None else self.before(), self.options)
            if self.multi_label or self.content == "values":
                value = (g.ReduceMax if about.worst == "max" else g.ReduceMin)(value, [1], keepdims=0)
            is_later = g.Greater(self.depth, 1)
            self._signals[signal] = value if about.first is None else g.Where(is_later, value, float(about.first))
        return self._signals[signal]

    def history(self, signal: str) -> Value:
        """``[rows, depths]``: a signal over the last depths, oldest first; 0 before depth 1."""
        name = f"{signal}{self.temperature_key}"
        if name not in self.memories:
            g = self.g
            past = g.input(g.fresh("history"), FLOAT, ["live", self.depths])
            values = g.Concat(g.Slice(past, [1], [self.depths], [1]), g.Unsqueeze(self.now(signal), [1]), axis=1)
            self.memories[name] = Memory(self.depths, past, values)
        return self.memories[name].after

    @property
    def options(self) -> int:
        """The number of options of each question."""
        return 1 if self.content == "values" else 2 if self.multi_label else self.classes

    @property
    def distributions(self) -> Value:
        """``[rows, options]``, ``[rows, labels, options]`` (no, yes) for multi-label, or ``[rows, outputs, 1]``."""
        if "distributions" not in self._signals:
            self._signals["distributions"] = self._to_distributions(self.probabilities)
        return self._signals["distributions"]

    def before(self) -> Value:
        """The distributions of the depth before, in the same form; zeros at depth 1."""
        name = f"before{self.temperature_key}"
        if name not in self.memories:
            past = self.g.input(self.g.fresh("before"), FLOAT, ["live", self.classes])
            self.memories[name] = Memory(self.classes, past, self.probabilities)
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
        if self.content == "values":
            return self.g.Unsqueeze(self.g.Div(probabilities, float(self.scale)), [-1])
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
        reduce(g.Max, [bind(g, condition.size, one.dials, np.int64) for condition in one.conditions]) for one in rules
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
    g, size = state.g, bind(state.g, condition.size, dials, np.int64)
    is_deep_enough = g.GreaterOrEqual(state.depth, size)
    if not condition.signal or condition.size == 0:
        return is_deep_enough
    compare: Callable[..., Value] = getattr(g, COMPARISONS[condition.op])
    threshold = bind(g, condition.threshold, dials, np.float32)
    if condition.kind == "held" and condition.size == 1:
        return compare(state.now(condition.signal), threshold)
    window = g.Gather(state.history(condition.signal), window_columns(g, condition.size, size, state.depths), axis=1)
    met = g.Cast(compare(*PAIRS[condition.kind](g, window, threshold)), to=FLOAT)
    all_met = g.Greater(g.ReduceMin(met, [1], keepdims=0), 0.5)
    if isinstance(condition.size, Of):  # over no depth, all hold
        all_met = g.Or(all_met, g.Less(size, 1))
    return g.And(all_met, is_deep_enough)


def window_columns(g: Graph, number: Number, size: Value, depths: int) -> Value:
    """The last ``size`` of ``depths`` columns. Columns before them repeat the first, which changes no condition."""
    last = depths - 1
    if not isinstance(number, Of):
        first = max(depths - number, 0)  # a window longer than the model never fills
        return g.value(np.clip(np.arange(first - 1, depths), first, last))
    return g.Clip(g.Max(np.arange(-1, depths), g.Sub(depths, size)), np.array(0), np.array(last))


PAIRS: dict[str, Callable[[Graph, Value, Value], tuple[Value, Value]]] = {
    "held": lambda g, window, threshold: (window, threshold),
    "at_start": lambda g, window, threshold: (g.Slice(window, [0], [1], [1]), threshold),
    "rising": lambda g, window, threshold: (g.Slice(window, [1], [LAST], [1]), g.Slice(window, [0], [-1], [1])),
    "spread": lambda g, window, threshold: (g.Sub(g.ReduceMax(window, [1]), g.ReduceMin(window, [1])), threshold),
}
"""What each kind of condition compares with what: :data:`elbert.exits.conditions.PAIRS` in nodes."""


def bind(g: Graph, number: Number, dials: Mapping[str, Dial], kind: type[np.generic]) -> Value:
    """A number of a condition as a value of that type."""
    if not isinstance(number, Of):
        return g.value(np.array(number, kind))
    value = dials[number.dial].value
    value = value if number.factor == 1 else g.Mul(value, np.array(number.factor, kind))
    return value if number.plus == 0 else g.Add(value, np.array(number.plus, kind))
