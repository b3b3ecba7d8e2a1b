"""A policy's rules followed depth by depth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from elbert.exits import Policy, Rule, Trace
from elbert.exits.conditions import Condition
from elbert.exits.signals import SIGNALS
from elbert.explain.sentences import count_depths, describe_exit, find_flag, name_condition


@dataclass(frozen=True, slots=True)
class RuleStep:
    """A rule at one depth.

    It covers the depths from ``first`` to ``depth``; ``full``: these are as many as the rule needs. ``holds`` maps each
    condition to whether it holds over the covered depths, full or not; ``fires``: the rule ends the row here.
    ``state`` is what keeps it from firing, in short.
    """

    depth: int
    first: int
    full: bool
    holds: Mapping[str, bool]
    fires: bool
    state: str


@dataclass(frozen=True)
class RuleTrack:
    """One rule over all depths.

    ``size`` is the number of depths it covers, ``signal`` the signal that it compares with a threshold, ``values
    [depths]`` its values (None where undefined), ``threshold`` the threshold or None; ``below``: the rule fires below
    the threshold. ``tempered``: probabilities are read at the policy's own temperatures. ``fired`` is the first depth
    at which the rule fires, even if the text had exited before; None if it never does.
    """

    rule: str
    reason: str
    size: int
    signal: str | None
    values: tuple[float | None, ...]
    threshold: float | None
    below: bool
    tempered: bool
    steps: tuple[RuleStep, ...]
    fired: int | None


def track_rules(policy: Policy, trace: Trace) -> tuple[RuleTrack, ...]:
    """Follow every rule of a policy over the complete trace of one text."""
    return tuple(_track_rule(rule, trace) for rule in policy.rules)


def read_signal(trace: Trace, name: str) -> NDArray[Any]:
    """``[depths]``: a signal of the single text of a complete trace."""
    found: NDArray[Any] = trace.window(name, trace.probabilities.shape[1])[0]
    return found


def explain_exit(policy: Policy, trace: Trace, depth: int, tracks: tuple[RuleTrack, ...]) -> str:
    """One sentence why the single text of a complete trace exits at a depth; ``tracks`` are of the policy's rules."""
    depths = trace.probabilities.shape[1]
    values = [{name: read_signal(temper(trace, rule), name).tolist() for name in rule.reads} for rule in policy.rules]
    is_early = depth < depths
    fired = next((i for i, track in enumerate(tracks) if is_early and track.fired == depth), None)
    return describe_exit(policy.rules, values, depth, depths, fired)


def temper(trace: Trace, rule: Rule) -> Trace:
    """The trace at the temperatures of a rule."""
    for temperatures in rule.temperatures:
        trace = trace.tempered(temperatures)
    return trace


def _track_rule(rule: Rule, trace: Trace) -> RuleTrack:
    depths, tempered = trace.probabilities.shape[1], temper(trace, rule)
    size = max(count_depths(condition) for condition in rule.conditions)
    steps = []
    for depth in range(1, depths + 1):
        fires, full = bool(rule.fires(trace.at(depth))[0]), depth >= size
        holds = [holds_so_far(condition, tempered, depth) for condition in rule.conditions]
        failures = (
            name_condition(c, fails=True) for c, is_met in zip(rule.conditions, holds, strict=True) if not is_met
        )
        state = f"{depth} of {size}" if not full else "holds" if fires else next(failures, "")
        names = map(name_condition, rule.conditions)
        steps.append(
            RuleStep(depth, max(1, depth - size + 1), full, dict(zip(names, holds, strict=True)), fires, state)
        )
    compared = find_comparison(rule)
    return RuleTrack(
        rule=", ".join(map(name_condition, rule.conditions)) + (f", {size} depths" if size > 1 else ""),
        reason=rule.reason,
        size=size,
        signal=None if compared is None else compared.signal,
        values=() if compared is None else tuple(finite_or_none(read_signal(tempered, compared.signal).tolist())),
        threshold=None if compared is None else float(compared.threshold),
        below=compared is not None and "<" in compared.op,
        tempered=bool(rule.temperatures),
        steps=tuple(steps),
        fired=next((step.depth for step in steps if step.fires), None),
    )


def find_comparison(rule: Rule) -> Condition | None:
    """The first condition that compares a signal with a threshold, other than a signal that is 1 or 0."""
    compared = (c for c in rule.conditions if c.kind in ("held", "at_start") and not find_flag(c))
    return next(compared, None)


def holds_so_far(condition: Condition, trace: Trace, depth: int) -> bool:
    """Whether a condition holds over the depths up to ``depth``, fewer than it needs included."""
    if condition.signal:
        size = min(int(condition.size), depth - (SIGNALS[condition.signal].first is not None))
        condition = replace(condition, size=size)
    return bool(condition.holds(trace.at(depth))[0])


def finite_or_none(values: list[float]) -> list[float | None]:
    """The same values, with None for NaN and infinity (the divergence of the first depth)."""
    return [value if math.isfinite(value) else None for value in values]
