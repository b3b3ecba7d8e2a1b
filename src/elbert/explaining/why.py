"""Why a text left, in one sentence of plain words."""

from __future__ import annotations

from collections.abc import Sequence

from elbert.exits import Depth, Policy, Rule
from elbert.exits.policies import Confidence, Divergence, Entropy, Gap, Patience, PatientConfidence
from elbert.exits.window import STABLE, TREND, Settled
from elbert.explaining.rules import RuleTrack, inner


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
            return _settled(rule, depth)
        case Depth():
            return f"this policy stops every text at depth {rule.depth}"
        case _:
            return f"{rule} let it leave"


def _settled(rule: Settled, depth: int) -> str:
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
