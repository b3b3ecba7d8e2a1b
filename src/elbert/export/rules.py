"""Policies in nodes: the twin of every rule in ``elbert.exits``.

A rule that asks for something throughout its last ``n`` depths asks here for how many depths in a row it has held: the
same question, and one number to remember.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from elbert.errors import PolicyError
from elbert.exits import Depth, Rule
from elbert.exits.policies import Confidence, Divergence, Entropy, Gap, Patience, PatientConfidence
from elbert.exits.window import AGREE, STABLE, TREND, Settled
from elbert.export.dials import Dial, Set
from elbert.export.graph import Graph, Value
from elbert.export.said import Said


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
