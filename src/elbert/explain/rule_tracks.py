"""A policy's rules followed depth by depth, and the sentence that explains why a text exited."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.exits import Depth, Policy, Rule, Trace
from elbert.exits.policies import (
    STABLE,
    TREND,
    Confidence,
    Divergence,
    Entropy,
    Gap,
    Patience,
    PatientConfidence,
    TemperedRule,
    WindowRule,
)

NAMES = ("entropy", "confidence", "gap", "same", "divergence")
Signals = Mapping[str, NDArray[Any]]  # [depths] each


@dataclass(frozen=True, slots=True)
class RuleStep:
    """A rule at one depth.

    It covers the depths from ``first`` to ``depth``; ``full``: these are as many as the rule needs. ``holds`` maps each
    condition to whether it holds over the covered depths, full or not; ``fires``: the rule ends the row here.
    """

    depth: int
    first: int
    full: bool
    holds: Mapping[str, bool]
    fires: bool


@dataclass(frozen=True)
class RuleTrack:
    """One rule over all depths.

    ``size`` is the number of depths it covers, ``signal`` the signal it reads, ``values [depths]`` its values (None
    where undefined), ``threshold`` the threshold or None; ``below``: the rule fires below the threshold.
    ``tempered``: probabilities are read at the policy's own temperatures. ``fired`` is the first depth at which the
    rule fires, even if the text had exited before; None if it never does.
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


@dataclass(frozen=True)
class _Conditions:
    """What a rule reads; ``checks`` maps each condition's name to its test over the covered depths of the signals."""

    size: int
    signal: str | None
    threshold: float | None
    below: bool
    checks: Mapping[str, Callable[[Signals], bool]]


def track_rules(policy: Policy, trace: Trace) -> tuple[RuleTrack, ...]:
    """Follow every rule of a policy over the complete trace of one text."""
    return tuple(_track_rule(rule, trace) for rule in policy.rules)


def read_signal(trace: Trace, name: str) -> NDArray[Any]:
    """``[depths]``: a signal of the single text of a complete trace."""
    found: NDArray[Any] = trace.window(name, trace.probabilities.shape[1])[0]
    return found


def unwrap_rule(rule: Rule) -> Rule:
    """The rule inside a tempered rule; any other rule itself."""
    return rule.rule if isinstance(rule, TemperedRule) else rule


def _track_rule(rule: Rule, trace: Trace) -> RuleTrack:
    look, depths = _describe_conditions(unwrap_rule(rule)), trace.probabilities.shape[1]
    tempered = trace.tempered(rule.temperatures) if isinstance(rule, TemperedRule) else trace
    signals = {name: read_signal(tempered, name) for name in NAMES}
    steps = []
    for depth in range(1, depths + 1):
        first = max(1, depth - look.size + 1)
        covered = {name: values[first - 1 : depth] for name, values in signals.items()}
        holds = {name: bool(checks(covered)) for name, checks in look.checks.items()}
        fires = bool(rule.fires(trace.at(depth))[0])
        steps.append(RuleStep(depth, first, depth >= look.size, holds, fires))
    return RuleTrack(
        rule=describe_rule(unwrap_rule(rule)),
        reason=rule.reason,
        size=look.size,
        signal=look.signal,
        values=() if look.signal is None else tuple(finite_or_none(signals[look.signal].tolist())),
        threshold=look.threshold,
        below=look.below,
        tempered=unwrap_rule(rule) is not rule,
        steps=tuple(steps),
        fired=next((step.depth for step in steps if step.fires), None),
    )


def finite_or_none(values: list[float]) -> list[float | None]:
    """The same values, with None for NaN and infinity (the divergence of the first depth)."""
    return [value if math.isfinite(value) else None for value in values]


def describe_rule(rule: Rule) -> str:
    """A rule as a spec; the window's second stage, which has none of its own, as ``window(size=…)``."""
    if not isinstance(rule, WindowRule):
        return str(rule)
    more = f", range={rule.range}" if rule.rule == STABLE else ""
    return f"window(size={rule.size}, rule={rule.rule}, margin={rule.margin}{more})"


def _describe_conditions(rule: Rule) -> _Conditions:  # one case per kind of rule
    match rule:
        case Entropy():
            return _Conditions(1, "entropy", rule.threshold, True, {"below": _below("entropy", rule.threshold)})
        case Confidence():
            return _Conditions(
                1, "confidence", rule.threshold, False, {"reached": _reached("confidence", rule.threshold)}
            )
        case Gap():
            return _Conditions(1, "gap", rule.threshold, False, {"reached": _reached("gap", rule.threshold)})
        case Patience():
            return _Conditions(rule.times + 1, None, None, False, {"one_answer": _one_answer})
        case PatientConfidence():
            look = _below("entropy", rule.threshold)
            return _Conditions(rule.times, "entropy", rule.threshold, True, {"below": look})
        case Divergence():
            # Divergence is between two depths: the first covered depth has no condition.
            near = _below("divergence", rule.threshold, after=1)
            return _Conditions(rule.times + 1, "divergence", rule.threshold, True, {"near": near})
        case WindowRule():
            return _window_conditions(rule)
        case Depth():
            return _Conditions(1, None, float(rule.depth), False, {})
        case _:
            return _Conditions(1, None, None, False, {})


def _window_conditions(rule: WindowRule) -> _Conditions:
    least = 2 * rule.margin

    def far_apart(seen: Signals) -> bool:
        return bool((seen["gap"][: 1 if rule.rule == TREND else None] > least).all())

    checks: dict[str, Callable[[Signals], bool]] = {"one_answer": _one_answer, "far_apart": far_apart}
    if rule.rule == TREND:
        checks["never_falls"] = lambda seen: bool((np.diff(seen["confidence"]) >= 0).all())
    if rule.rule == STABLE:
        checks["still"] = lambda seen: bool(np.ptp(seen["confidence"]) <= rule.range)
    return _Conditions(rule.size, "gap", least, False, checks)


def _one_answer(seen: Signals) -> bool:
    return bool((seen["same"][1:] == 1).all())


def _below(name: str, threshold: float, after: int = 0) -> Callable[[Signals], bool]:
    return lambda seen: bool((seen[name][after:] < threshold).all())


def _reached(name: str, threshold: float) -> Callable[[Signals], bool]:
    return lambda seen: bool((seen[name] >= threshold).all())


def describe_exit(policy: Policy, depth: int, depths: int, reason: str, tracks: Sequence[RuleTrack]) -> str:
    """One sentence why the text exited; ``tracks`` are those of the policy's rules, in order."""
    exited = f"exited at depth {depth} of {depths}"
    if not policy.rules:
        return f"{exited} because this policy has no early exit"
    if depth == depths:
        return f"{exited}, the last, because {_describe_never(tracks)}"
    rule, track = next(pair for pair in zip(policy.rules, tracks, strict=True) if has_fired(pair[1], reason, depth))
    text = _describe_cause(unwrap_rule(rule), depth, track.values[depth - 1] if track.values else None)
    return f"{exited} because {text}{' (at the temperatures of this policy)' if track.tempered else ''}"


def has_fired(track: RuleTrack, reason: str, depth: int) -> bool:
    """Whether this rule caused the exit: a union may have several rules with the same reason."""
    return track.reason == reason and track.fired == depth


def _describe_never(tracks: Sequence[RuleTrack]) -> str:
    before = [value for value in tracks[0].values[:-1] if value is not None]
    if len(tracks) == 1 and tracks[0].reason == Entropy.name and before and tracks[0].threshold is not None:
        lowest, threshold = format_pair(min(before), tracks[0].threshold)
        return f"its entropy was never below {threshold} before (lowest {lowest})"
    return "no rule fired before"


def _describe_cause(rule: Rule, depth: int, now: float | None) -> str:
    match rule:
        case Entropy():
            value, threshold = format_pair(now or 0.0, rule.threshold)
            return f"its entropy {value} fell below {threshold}"
        case Confidence():
            value, threshold = format_pair(now or 0.0, rule.threshold)
            return f"its confidence {value} reached {threshold}"
        case Gap():
            value, threshold = format_pair(now or 0.0, rule.threshold)
            return f"its two largest probabilities were {value} apart, which reaches {threshold}"
        case Patience():
            return f"its answer was the same {format_times(rule.times + 1, 'depth')}"
        case PatientConfidence():
            return f"its entropy stayed below {rule.threshold:g} {format_times(rule.times, 'depth')}"
        case Divergence():
            return f"its probabilities moved by less than {rule.threshold:g} nats {format_times(rule.times, 'step')}"
        case WindowRule():
            return _describe_window(rule, depth)
        case Depth():
            return f"this policy stops every text at depth {rule.depth}"
        case _:
            return f"{rule} fired"


def _describe_window(rule: WindowRule, depth: int) -> str:
    first = depth - rule.size + 1
    where = f"at depth {depth}" if rule.size == 1 else f"over its window of {rule.size} depths, {first} to {depth}"
    text = f"its answer was one and the same {where}"
    if rule.rule == TREND:
        return f"{text}, and its probability never fell"
    if rule.rule == STABLE:
        return f"{text}, and its probability moved by no more than {rule.range:g}"
    return f"{text}, with every gap above {2 * rule.margin:g}" if rule.margin else text


def format_times(times: int, what: str) -> str:
    """ "for 3 depths in a row", "for one depth"."""
    return f"for {times} {what}s in a row" if times > 1 else f"for one {what}"


def format_pair(value: float, threshold: float) -> tuple[str, str]:
    """Both numbers as text, ``value`` with as few decimals as distinguish it from ``threshold``."""
    for decimals in range(2, 8):
        text = f"{value:.{decimals}f}"
        if float(text) != threshold or value == threshold:
            return text, f"{threshold:g}"
    return f"{value!r}", f"{threshold:g}"
