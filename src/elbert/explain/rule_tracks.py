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
    Settled,
    TemperedRule,
)

NAMES = ("entropy", "confidence", "gap", "same", "divergence")
Signals = Mapping[str, NDArray[Any]]  # [depths] each


@dataclass(frozen=True, slots=True)
class RuleStep:
    """A rule at one depth.

    It looks back as far as ``first``; ``full`` says whether it has seen as many depths as it wants. ``holds`` are its
    conditions over the depths it covers so far, full or not; ``fires`` is its verdict.
    """

    depth: int
    first: int
    full: bool
    holds: Mapping[str, bool]
    fires: bool


@dataclass(frozen=True)
class RuleTrack:
    """One rule over all depths.

    ``size`` is how many depths it looks at, ``signal`` what it reads, ``values [depths]`` what it reads there (None at
    a depth that has none) and ``threshold`` what it holds against it, None where it has none; ``below`` says on which
    side it wants to be. ``tempered``: it reads them at temperatures of its own, so that they are not the head's.
    ``fired`` is the first depth at which it fires, whether or not the text was still there; None where it never does.
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
class _Look:
    """What a kind of rule looks at; ``asks`` are its conditions, each over the covered depths of the signals."""

    size: int
    signal: str | None
    threshold: float | None
    below: bool
    asks: Mapping[str, Callable[[Signals], bool]]


def tracks(policy: Policy, trace: Trace) -> tuple[RuleTrack, ...]:
    """Every rule of a policy over the complete trace of one text."""
    return tuple(_track(rule, trace) for rule in policy.rules)


def signal(trace: Trace, name: str) -> NDArray[Any]:
    """``[depths]``: a signal of the one text of a complete trace."""
    found: NDArray[Any] = trace.window(name, trace.said.shape[1])[0]
    return found


def inner(rule: Rule) -> Rule:
    """The rule that reads: what a tempered one passes its trace on to."""
    return rule.rule if isinstance(rule, TemperedRule) else rule


def _track(rule: Rule, trace: Trace) -> RuleTrack:
    look, depths = _look(inner(rule)), trace.said.shape[1]
    heard = trace.tempered(rule.temperatures) if isinstance(rule, TemperedRule) else trace
    signals = {name: signal(heard, name) for name in NAMES}
    steps = []
    for depth in range(1, depths + 1):
        first = max(1, depth - look.size + 1)
        covered = {name: values[first - 1 : depth] for name, values in signals.items()}
        holds = {name: bool(asks(covered)) for name, asks in look.asks.items()}
        fires = bool(rule.fires(trace.at(depth))[0])
        steps.append(RuleStep(depth, first, depth >= look.size, holds, fires))
    return RuleTrack(
        rule=described(inner(rule)),
        reason=rule.reason,
        size=look.size,
        signal=look.signal,
        values=() if look.signal is None else tuple(finite(signals[look.signal].tolist())),
        threshold=look.threshold,
        below=look.below,
        tempered=inner(rule) is not rule,
        steps=tuple(steps),
        fired=next((step.depth for step in steps if step.fires), None),
    )


def finite(values: list[float]) -> list[float | None]:
    """The same, with None where there is nothing before to differ from."""
    return [value if math.isfinite(value) else None for value in values]


def described(rule: Rule) -> str:
    """A rule as people read it; the window's second stage has no spec of its own."""
    if not isinstance(rule, Settled):
        return str(rule)
    more = f", range={rule.range}" if rule.rule == STABLE else ""
    return f"window(size={rule.size}, rule={rule.rule}, margin={rule.margin}{more})"


def _look(rule: Rule) -> _Look:  # one line a kind: the table is the function
    match rule:
        case Entropy():
            return _Look(1, "entropy", rule.threshold, True, {"below": _below("entropy", rule.threshold)})
        case Confidence():
            return _Look(1, "confidence", rule.threshold, False, {"reached": _reached("confidence", rule.threshold)})
        case Gap():
            return _Look(1, "gap", rule.threshold, False, {"reached": _reached("gap", rule.threshold)})
        case Patience():
            return _Look(rule.times + 1, None, None, False, {"one_answer": _one_answer})
        case PatientConfidence():
            look = _below("entropy", rule.threshold)
            return _Look(rule.times, "entropy", rule.threshold, True, {"below": look})
        case Divergence():
            # Between the depths that it covers; at the first of them nothing is asked.
            near = _below("divergence", rule.threshold, after=1)
            return _Look(rule.times + 1, "divergence", rule.threshold, True, {"near": near})
        case Settled():
            return _settled(rule)
        case Depth():
            return _Look(1, None, float(rule.depth), False, {})
        case _:
            return _Look(1, None, None, False, {})


def _settled(rule: Settled) -> _Look:
    least = 2 * rule.margin

    def far_apart(seen: Signals) -> bool:
        return bool((seen["gap"][: 1 if rule.rule == TREND else None] > least).all())

    asks: dict[str, Callable[[Signals], bool]] = {"one_answer": _one_answer, "far_apart": far_apart}
    if rule.rule == TREND:
        asks["never_falls"] = lambda seen: bool((np.diff(seen["confidence"]) >= 0).all())
    if rule.rule == STABLE:
        asks["still"] = lambda seen: bool(np.ptp(seen["confidence"]) <= rule.range)
    return _Look(rule.size, "gap", least, False, asks)


def _one_answer(seen: Signals) -> bool:
    return bool((seen["same"][1:] == 1).all())


def _below(name: str, threshold: float, after: int = 0) -> Callable[[Signals], bool]:
    return lambda seen: bool((seen[name][after:] < threshold).all())


def _reached(name: str, threshold: float) -> Callable[[Signals], bool]:
    return lambda seen: bool((seen[name] >= threshold).all())


def why(policy: Policy, depth: int, depths: int, reason: str, tracks: Sequence[RuleTrack]) -> str:
    """The sentence; ``tracks`` are those of the policy's rules, in order."""
    left = f"left at depth {depth} of {depths}"
    if not policy.rules:
        return f"{left} because this policy never lets a text leave early"
    if depth == depths:
        return f"{left}, the last, because {_never(tracks)}"
    rule, track = next(pair for pair in zip(policy.rules, tracks, strict=True) if fired(pair[1], reason, depth))
    told = _because(inner(rule), depth, track.values[depth - 1] if track.values else None)
    return f"{left} because {told}{' (at the temperatures of this policy)' if track.tempered else ''}"


def fired(track: RuleTrack, reason: str, depth: int) -> bool:
    """Whether it was this rule: a union may hold several of one reason."""
    return track.reason == reason and track.fired == depth


def _never(tracks: Sequence[RuleTrack]) -> str:
    before = [value for value in tracks[0].values[:-1] if value is not None]
    if len(tracks) == 1 and tracks[0].reason == Entropy.name and before and tracks[0].threshold is not None:
        lowest, threshold = apart(min(before), tracks[0].threshold)
        return f"its entropy never fell under {threshold} before (lowest {lowest})"
    return "nothing let it leave before"


def _because(rule: Rule, depth: int, now: float | None) -> str:
    match rule:
        case Entropy():
            value, threshold = apart(now or 0.0, rule.threshold)
            return f"its entropy {value} fell under {threshold}"
        case Confidence():
            value, threshold = apart(now or 0.0, rule.threshold)
            return f"its confidence {value} reached {threshold}"
        case Gap():
            value, threshold = apart(now or 0.0, rule.threshold)
            return f"its two largest probabilities were {value} apart, which reaches {threshold}"
        case Patience():
            return f"its answer was the same {in_a_row(rule.times + 1, 'depth')}"
        case PatientConfidence():
            return f"its entropy stayed under {rule.threshold:g} {in_a_row(rule.times, 'depth')}"
        case Divergence():
            return f"its probabilities moved by less than {rule.threshold:g} nats {in_a_row(rule.times, 'step')}"
        case Settled():
            return _why_settled(rule, depth)
        case Depth():
            return f"this policy stops every text at depth {rule.depth}"
        case _:
            return f"{rule} let it leave"


def _why_settled(rule: Settled, depth: int) -> str:
    first = depth - rule.size + 1
    where = f"at depth {depth}" if rule.size == 1 else f"over its window of {rule.size} depths, {first} to {depth}"
    told = f"its answer was one and the same {where}"
    if rule.rule == TREND:
        return f"{told}, and its probability never fell"
    if rule.rule == STABLE:
        return f"{told}, and its probability moved by no more than {rule.range:g}"
    return f"{told}, with every gap above {2 * rule.margin:g}" if rule.margin else told


def in_a_row(times: int, what: str) -> str:
    """How often, in words."""
    return f"for {times} {what}s in a row" if times > 1 else f"for one {what}"


def apart(value: float, threshold: float) -> tuple[str, str]:
    """Both numbers, with as few decimals as tell them apart."""
    for decimals in range(2, 8):
        told = f"{value:.{decimals}f}"
        if float(told) != threshold or value == threshold:
            return told, f"{threshold:g}"
    return f"{value!r}", f"{threshold:g}"
