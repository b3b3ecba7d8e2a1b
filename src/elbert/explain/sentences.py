"""Rules in words, made of their conditions and a trace: terminal, JSON, figures and pages use the same sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from math import isfinite

from elbert.exits import Rule
from elbert.exits.conditions import AtDepth, AtStart, Condition, Held, Rising, Spread
from elbert.exits.signals import SIGNALS

SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "="}
OPPOSITES = {"<": "≥", "<=": ">", ">": "≤", ">=": "<", "==": "≠"}
Values = Mapping[str, Sequence[float]]
"""The values of each signal, ``[depths]``."""


def describe_rule(rule: Rule, values: Values, depth: int) -> str:
    """Why a rule fires at a depth: "same class over depths 2 to 7, every gap > 0.2"."""
    parts, last_span = [], ""
    for condition in rule.conditions:
        text, span = describe_condition(condition, values, depth)
        if text:
            parts.append(text + (span if span != last_span else ""))
            last_span = span
    return ", ".join(parts) or "its rule holds at every depth"


def describe_condition(condition: Condition, values: Values, depth: int) -> tuple[str, str]:
    """A condition that holds at a depth, and the depths that it covers: both empty where it asks for nothing."""
    if isinstance(condition, AtDepth):
        return f"depth {depth} ≥ {condition.depth}", ""
    signal, size, start = condition.signal, count_depths(condition), depth - int(condition.size) + 1
    if not condition.size or (isinstance(condition, Rising) and size < 2):
        return "", ""
    span = f" over depths {depth - size + 1} to {depth}" if size > 1 else ""
    if isinstance(condition, Rising) or (isinstance(condition, Held) and SIGNALS[signal].words is not None):
        return name_condition(condition), span
    if isinstance(condition, Held) and condition.times > 1:
        return f"every {name_condition(condition)}", f" over depths {start} to {depth}"
    covered = values[signal][start - 1 : depth]
    if isinstance(condition, Spread):
        value, limit = format_pair(max(covered) - min(covered), condition.limit)
        return f"{signal} moves by {value} ≤ {limit}", span
    value, threshold = format_pair(covered[0], condition.threshold)
    where = f" at depth {start}" if isinstance(condition, AtStart) else ""
    return f"{signal} {value} {SIGNS[condition.op]} {threshold}{where}", ""


def count_depths(condition: Condition) -> int:
    """The number of depths that a condition reads: one more for a signal that compares with the depth before."""
    if isinstance(condition, AtDepth):
        return 1
    return int(condition.size) + (SIGNALS[condition.signal].first is not None)


def name_condition(condition: Condition, *, fails: bool = False) -> str:
    """A condition in short, "gap > 0.2", or what keeps it from holding, "gap ≤ 0.2"."""
    if isinstance(condition, AtDepth):
        return f"depth {'<' if fails else '≥'} {condition.depth}"
    if isinstance(condition, Rising):
        return f"{condition.signal} {'falls' if fails else 'never falls'}"
    if isinstance(condition, Spread):
        return f"{condition.signal} moves {'>' if fails else '≤'} {condition.limit:g}"
    if (words := SIGNALS[condition.signal].words) is not None:
        return words[bool(condition.threshold) == fails]
    first = "first " if isinstance(condition, AtStart) else ""
    return f"{first}{condition.signal} {(OPPOSITES if fails else SIGNS)[condition.op]} {condition.threshold:g}"


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
    condition = rules[0].conditions[0] if len(rules) == 1 and len(rules[0].conditions) == 1 else None
    if not isinstance(condition, Held) or condition.times != 1 or SIGNALS[condition.signal].words is not None:
        return "no rule held before"
    before = [value for value in values[0][condition.signal][:-1] if isfinite(value)]
    if not before:
        return "no rule held before"
    below = "<" in condition.op
    value, threshold = format_pair(min(before) if below else max(before), condition.threshold)
    nearest = f"{'lowest' if below else 'highest'} {value}"
    return f"{condition.signal} {SIGNS[condition.op]} {threshold} at no depth before ({nearest})"


def format_pair(value: float, threshold: float) -> tuple[str, str]:
    """Both numbers as text, ``value`` with at least 2 decimals, and as few as distinguish it from ``threshold``."""
    if not isfinite(value):
        return f"{value}", f"{threshold:g}"
    for decimals in range(2, 8):
        # Half up, as JavaScript's toFixed rounds.
        text = str(Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))
        if float(text) != threshold or value == threshold:
            return text, f"{threshold:g}"
    return f"{value!r}", f"{threshold:g}"
