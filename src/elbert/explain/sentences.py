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
        text, span = describe_condition(condition, values, depth)
        if text:
            parts.append(text + (span if span != last_span else ""))
            last_span = span
    return ", ".join(parts) or "its rule holds at every depth"


def describe_condition(condition: Condition, values: Values, depth: int) -> tuple[str, str]:
    """A condition that holds at a depth, and the depths that it covers: both empty where it asks for nothing."""
    kind, size, start = condition.kind, int(condition.size), depth - int(condition.size) + 1
    words, (_, _, shows) = find_words(condition), WORDS[kind]
    if size < (2 if kind == "rising" else 1):
        return "", ""
    if kind == "held" and size > 1 and not words:
        return f"every {name_condition(condition)}", f" over depths {start} to {depth}"
    covered = count_depths(condition)
    span = f" over depths {depth - covered + 1} to {depth}" if covered > 1 else ""
    if not shows or (kind == "held" and words):
        return name_condition(condition), span
    found = values[condition.signal][start - 1 : depth] if condition.signal else [depth]
    value, threshold = format_pair(max(found) - min(found) if kind == "spread" else found[0], condition.threshold)
    text = fill_words(shows, condition, value=value, threshold=threshold, depth=depth, start=start)
    return text, span if kind == "spread" else ""


def count_depths(condition: Condition) -> int:
    """The number of depths that a condition reads: one more for a signal that compares with the depth before."""
    return int(condition.size) + (SIGNALS[condition.signal].first is not None) if condition.signal else 1


def find_words(condition: Condition) -> tuple[str, str] | None:
    """The words for 1 and 0 where a condition compares a signal that is one of both."""
    return SIGNALS[condition.signal].words if condition.kind in ("held", "at_start") else None


def name_condition(condition: Condition, *, fails: bool = False) -> str:
    """A condition in short, "gap > 0.2", or what keeps it from holding, "gap ≤ 0.2"."""
    if words := find_words(condition):
        return words[bool(condition.threshold) == fails]
    return fill_words(WORDS[condition.kind][fails], condition, threshold=f"{condition.threshold:g}")


def fill_words(words: str, condition: Condition, **more: object) -> str:
    """Words of a kind of conditions with the names and numbers of one."""
    sign, opposite = SIGNS[condition.op]
    return words.format(signal=condition.signal, sign=sign, opposite=opposite, size=condition.size, **more)


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
    if condition and (condition.kind, condition.size) == ("held", 1) and not find_words(condition):
        before = [value for value in values[0][condition.signal][:-1] if isfinite(value)]
        below = "<" in condition.op
        if before:
            value, _ = format_pair(min(before) if below else max(before), condition.threshold)
            nearest = f"{'lowest' if below else 'highest'} {value}"
            return f"{name_condition(condition)} at no depth before ({nearest})"
    return "no rule held before"


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
