"""Policies in ONNX nodes: the five conditions over signals of a depth, with state carried from depth to depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce

import numpy as np

from elbert.errors import PolicyError
from elbert.exits import STAY
from elbert.exits.conditions import Condition, Number, Of
from elbert.exits.signals import SIGNALS, Content
from elbert.exits.token_trace import SETTLED
from elbert.exits.trace import pad_temperatures
from elbert.export.dials import BoundRule, Dial
from elbert.export.graph import FLOAT, Graph, Shape, Value

LAST = np.iinfo(np.int64).max  # the end of a slice that has no end
COMPARISONS = {"<": "Less", "<=": "LessOrEqual", ">": "Greater", ">=": "GreaterOrEqual", "==": "Equal"}


@dataclass(frozen=True)
class Memory:
    """Numbers carried per row, ``[rows, *shape]``, zeros at first: their names here and after this depth.

    A size in ``shape`` is a number, or ``tokens`` for that of the row.
    """

    shape: Shape
    here: Value
    after: Value


@dataclass
class ExitState:
    """The inputs of a decision: rows that are all at ``depth`` (a scalar) of ``depths``.

    ``probabilities [rows, classes]`` are those of this depth; ``[rows, tokens, classes]`` where tokens are classified,
    of which those count where ``words [rows, tokens]`` is true.
    """

    g: Graph
    probabilities: Value
    depth: Value
    depths: int
    classes: int
    multi_label: bool
    content: Content = "probabilities"
    scale: float = 1.0  # the unit in which signals read values
    words: Value | None = None
    memories: dict[str, Memory] = field(default_factory=dict)
    key: str = ""  # distinguishes memories at other temperatures
    _signals: dict[str, Value] = field(default_factory=dict)
    _by_temperature: dict[str, ExitState] = field(default_factory=dict)

    def now(self, signal: str) -> Value:
        """``[rows]``: a signal at this depth.

        Raises:
            PolicyError: it reads something else than these outputs.
        """
        if signal not in self._signals:
            g, about, now = self.g, SIGNALS[signal], self.distributions
            if about.needs != self.content:
                raise PolicyError(f"the signal {signal!r} reads {about.needs}; the file has {self.content}")
            options = 1 if self.content == "values" else 2 if self.multi_label else self.classes
            value = about.nodes(g, now, now if about.first is None else self.before(), options)
            if self.multi_label or self.content == "values":
                value = (g.ReduceMax if about.worst == "max" else g.ReduceMin)(value, [1], keepdims=0)
            if self.words is not None:
                reduce_words = g.ReduceMax if about.worst == "max" else g.ReduceMin
                value = reduce_words(g.Where(self.words, value, SETTLED[about.worst]), [1], keepdims=0)
            is_first = g.LessOrEqual(self.depth, 1)
            self._signals[signal] = value if about.first is None else g.Where(is_first, float(about.first), value)
        return self._signals[signal]

    def history(self, signal: str) -> Value:
        """``[rows, depths]``: a signal over the last depths, oldest first; 0 before depth 1."""
        g, now = self.g, self.g.Unsqueeze(self.now(signal), [1])
        return self._remember(
            signal, [self.depths], lambda past: g.Concat(g.Slice(past, [1], [LAST], [1]), now, axis=1)
        ).after

    def before(self) -> Value:
        """The distributions of the depth before; zeros at depth 1."""
        shape: Shape = [self.classes] if self.words is None else ["tokens", self.classes]
        return self._to_distributions(self._remember("before", shape, lambda past: self.probabilities).here)

    def _remember(self, name: str, shape: Shape, carry: Callable[[Value], Value]) -> Memory:
        """Numbers of each row, which ``carry`` makes from those of the depth before."""
        if name + self.key not in self.memories:
            here = self.g.input(self.g.fresh(name), FLOAT, ["live", *shape])
            self.memories[name + self.key] = Memory(shape, here, carry(here))
        return self.memories[name + self.key]

    @cached_property
    def distributions(self) -> Value:
        """``[rows, options]``, ``[rows, labels, options]`` (no, yes) for multi-label, or ``[rows, outputs, 1]``."""
        return self._to_distributions(self.probabilities)

    def tempered(self, temperatures: tuple[float, ...]) -> ExitState:
        """The state with the logits of depth m divided by ``temperatures[m - 1]``; the last applies to deeper ones."""
        key = f"{self.key}_at_{'_'.join(map(str, temperatures))}"
        if key not in self._by_temperature:
            g = self.g
            every = np.array(pad_temperatures(temperatures, self.depths), np.float32)
            raised = g.Pow(self.distributions, g.Gather(1 / every, g.Sub(self.depth, 1), axis=0))
            spread = g.Div(raised, g.ReduceSum(raised, [-1], keepdims=1))
            probabilities = g.Gather(spread, 1, axis=-1) if self.multi_label else spread
            self._by_temperature[key] = replace(self, probabilities=probabilities, key=key, _signals={})
        return self._by_temperature[key]

    def _to_distributions(self, probabilities: Value) -> Value:
        g = self.g
        if self.content == "values":
            return g.Unsqueeze(g.Div(probabilities, float(self.scale)), [-1])
        yes = g.Unsqueeze(probabilities, [-1])
        return g.Concat(g.Sub(1.0, yes), yes, axis=-1) if self.multi_label else probabilities


def decide(rules: list[BoundRule], state: ExitState, depths: int) -> Value:
    """``[rows]``: the index of the first rule that fires, or of ``last``, or -1 for rows that continue."""
    g = state.g
    decision = g.value(STAY)
    for index, one in reversed(list(enumerate(rules))):
        decision = g.Where(fires(one, state), index, decision)
    decision = g.Where(g.Less(state.depth, depths), decision, len(rules))  # at the last depth, whatever the rules
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
    is_deep = g.GreaterOrEqual(state.depth, size)
    if not condition.signal or condition.size == 0:
        return is_deep
    compare: Callable[..., Value] = getattr(g, COMPARISONS[condition.op])
    threshold = bind(g, condition.threshold, dials, np.float32)
    if condition.kind == "held" and condition.size == 1:
        return compare(state.now(condition.signal), threshold)
    window = g.Gather(state.history(condition.signal), window_columns(g, condition.size, size, state.depths), axis=1)
    met = g.Cast(compare(*PAIRS[condition.kind](g, window, threshold)), to=FLOAT)
    all_met = g.Greater(g.ReduceMin(met, [1], keepdims=0), 0.5)
    return g.And(is_deep, g.Or(all_met, g.Less(size, 1)))  # over no depth, all hold


def window_columns(g: Graph, number: Number, size: Value, depths: int) -> Value:
    """The last ``size`` of ``depths`` columns. Columns before them repeat the first, which changes no condition."""
    last = depths - 1
    if isinstance(number, Of):
        return g.Clip(g.Max(np.arange(-1, depths), g.Sub(depths, size)), np.array(0), np.array(last))
    first = max(depths - number, 0)  # a window longer than the model never fills
    return g.value(np.clip(np.arange(first - 1, depths), first, last))


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
    scaled = g.Mul(dials[number.dial].value, np.array(number.factor, kind))
    return g.Add(scaled, np.array(number.plus, kind))
