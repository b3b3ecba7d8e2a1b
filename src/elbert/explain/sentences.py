"""Rules in words, made of their conditions and a trace: terminal, JSON, figures and pages use the same sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from math import isfinite

from elbert.exits import Rule
from elbert.exits.conditions import SIGNS, WORDS, Condition
from elbert.exits.signals import SIGNALS

Values = Mapping[str, Sequence[float]]
"""The values of each signal, ``[depths]``."""


def describe_rule(rule: Rule, values: Values, depth: int) -> str:
    """Why a rule fires at a depth: "same class over depths 2 to 7, every gap > 0.2"."""
    parts, last_span = [], ""
    for condition in rule.conditions:
        if condition.size > (condition.kind == "rising"):  # else it asks for nothing
            text, over, span = describe_condition(condition, values, depth).partition(" over depths ")
            parts.append(text if span == last_span else text + over + span)
            last_span = span
    return ", ".join(parts) or "its rule holds at every depth"


def describe_condition(condition: Condition, values: Values, depth: int) -> str:
    """Why a condition holds at a depth."""
    start = depth - int(condition.size) + 1
    seen = values[condition.signal][start - 1 : depth] if condition.signal else [depth]
    value = format_beside(max(seen) - min(seen) if condition.kind == "spread" else seen[0], condition.threshold)
    first = start - bool(find_flag(condition))
    span = f" over depths {first} to {depth}" if first < depth else ""
    return fill_words(condition, 2, value=value, depth=depth, start=start, span=span)


def name_condition(condition: Condition, *, fails: bool = False) -> str:
    """A condition in short, "gap > 0.2", or what keeps it from holding, "gap ≤ 0.2"."""
    return fill_words(condition, int(fails))


def fill_words(condition: Condition, form: int, **more: object) -> str:
    """One of the three forms of :data:`WORDS` with the names and numbers of a condition."""
    short, opposite, holds = WORDS[condition.kind]
    if flag := find_flag(condition):
        short, opposite = flag if condition.threshold else flag[::-1]
        holds = short + "{span}"
    elif condition.kind == "held" and condition.size > 1:
        holds = f"every {short}{{span}}"
    signs = dict(zip(("sign", "opposite"), SIGNS[condition.op], strict=True))
    numbers = {"threshold": f"{condition.threshold:g}", "size": condition.size}
    return (short, opposite, holds)[form].format(signal=condition.signal, **signs, **numbers, **more)


def find_flag(condition: Condition) -> tuple[str, str] | None:
    """The words for 1 and 0 where a condition compares a signal that is one of both."""
    return SIGNALS[condition.signal].words if condition.kind == "held" else None


def count_depths(condition: Condition) -> int:
    """The number of depths that a condition reads: one more for a signal that compares with the depth before."""
    return int(condition.size) + (SIGNALS[condition.signal].first is not None) if condition.signal else 1


def describe_exit(rules: Sequence[Rule], values: Sequence[Values], depth: int, depths: int, fired: int | None) -> str:
    """One sentence why a text exited; ``values`` are each rule's signals, ``fired`` the index of its rule."""
    exited = f"exited at depth {depth} of {depths}"
    if not rules:
        return f"{exited}: this policy has no early exit"
    if fired is None:
        return f"{exited}, the last: {describe_never(rules, values)}"
    tempered = " (at the temperatures of this policy)" if rules[fired].temperatures else ""
    return f"{exited}: {describe_rule(rules[fired], values[fired], depth)}{tempered}"


def describe_never(rules: Sequence[Rule], values: Sequence[Values]) -> str:
    """Why no rule ended a text before the last depth; the nearest value where there is one threshold."""
    condition = rules[0].conditions[0]
    is_alone = len(rules) == len(rules[0].conditions) == condition.size == 1
    if is_alone and condition.kind == "held" and not find_flag(condition):
        before = [value for value in values[0][condition.signal][:-1] if isfinite(value)]
        name, nearest = ("lowest", min) if "<" in condition.op else ("highest", max)
        if before:
            value = format_beside(nearest(before), condition.threshold)
            return f"{name_condition(condition)} at no depth before ({name} {value})"
    return "no rule held before"


def format_beside(value: float, threshold: float) -> str:
    """A value with at least 2 decimals, and as few as distinguish it from ``threshold``."""
    for decimals in range(2, 8) if isfinite(value) else ():
        # Half up, as JavaScript's toFixed rounds.
        text = str(Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))
        if float(text) != threshold or value == threshold:
            return text
    return repr(value)
