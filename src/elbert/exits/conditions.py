"""The five conditions that every rule of a policy is made of, and what they mean for a trace, in numpy.

A rule is a conjunction of conditions. A condition compares values of one signal over the last ``size`` depths. Its
numbers are plain, or :class:`Of` a dial, as in the table of policies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elbert.exits.signals import Array
from elbert.exits.trace import Trace


@dataclass(frozen=True)
class Of:
    """A number that a dial sets: ``factor * dial + plus``."""

    dial: str
    factor: float = 1
    plus: int = 0

    def value(self, dials: Mapping[str, Any]) -> Any:
        """The number at these values of the dials."""
        return dials[self.dial] * self.factor + self.plus


Number = Any
"""A number, or :class:`Of` a dial."""
COMPARISONS = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
}


PAIRS: dict[str, Callable[[Array, Any], tuple[Array, Any]]] = {
    "at_depth": lambda window, threshold: (window[:, :0], threshold),
    "held": lambda window, threshold: (window, threshold),
    "at_start": lambda window, threshold: (window[:, :1], threshold),
    "rising": lambda window, threshold: (window[:, 1:], window[:, :-1]),
    "spread": lambda window, threshold: (np.ptp(window, axis=-1, keepdims=True), threshold),
}
"""What each kind of condition compares with what, of a window ``[rows, size]``: all comparisons must hold."""
CONDITIONS = tuple(PAIRS)
WORDS = {
    "at_depth": ("depth ≥ {size}", "depth < {size}", "depth {depth} ≥ {size}"),
    "held": ("{signal} {sign} {threshold}", "{signal} {opposite} {threshold}", "{signal} {value} {sign} {threshold}"),
    "at_start": (
        "first {signal} {sign} {threshold}",
        "first {signal} {opposite} {threshold}",
        "{signal} {value} {sign} {threshold} at depth {start}",
    ),
    "rising": ("{signal} never falls", "{signal} falls", "{signal} never falls{span}"),
    "spread": (
        "{signal} moves {sign} {threshold}",
        "{signal} moves {opposite} {threshold}",
        "{signal} moves by {value} {sign} {threshold}{span}",
    ),
}
"""Each kind in words: in short, what keeps it from holding, and why it holds of a text."""
SIGNS = {"<": ("<", "≥"), "<=": ("≤", ">"), ">": (">", "≤"), ">=": ("≥", "<"), "==": ("=", "≠")}
"""The sign of each comparison and of its opposite."""


@dataclass(frozen=True)
class Condition:
    """One of :data:`CONDITIONS` with its numbers; ``size`` is the number of depths that it needs.

    :func:`at_depth` has no signal and :func:`rising` no threshold.
    """

    kind: str
    signal: str
    op: str
    threshold: Number
    size: Number

    def holds(self, trace: Trace) -> Array:
        """``[rows]``: where a row is deep enough and it holds."""
        if self.kind == "held" and self.size == 1:  # the most frequent condition, in half the time
            now: Array = COMPARISONS[self.op](trace.now(self.signal), self.threshold)
            return now
        is_deep: Array = trace.depth >= self.size
        if not self.signal or not is_deep.any():
            return is_deep
        return is_deep & compare_window(self.kind, self.op, trace.window(self.signal, self.size), self.threshold)

    def dial_numbers(self) -> Iterator[tuple[str, Of]]:
        """The fields that dials set."""
        return ((name, of) for name in ("threshold", "size") if isinstance(of := getattr(self, name), Of))

    def settle(self, dials: Mapping[str, Any]) -> Condition:
        """The condition with plain numbers for those that dials set."""
        return replace(self, **{name: of.value(dials) for name, of in self.dial_numbers()})


def at_depth(depth: Number) -> Condition:
    """At depth ``depth`` and deeper."""
    return Condition("at_depth", "", ">=", 0.0, depth)


def held(signal: str, op: str, threshold: Number, times: Number = 1) -> Condition:
    """``signal op threshold`` at each of the last ``times`` depths."""
    return Condition("held", signal, op, threshold, times)


def at_start(signal: str, op: str, threshold: Number, size: Number) -> Condition:
    """``signal op threshold`` at the first of the last ``size`` depths."""
    return Condition("at_start", signal, op, threshold, size)


def rising(signal: str, size: Number) -> Condition:
    """``signal`` never falls over the last ``size`` depths."""
    return Condition("rising", signal, ">=", 0.0, size)


def spread(signal: str, limit: Number, size: Number) -> Condition:
    """``signal`` moves by at most ``limit`` over the last ``size`` depths, largest minus smallest."""
    return Condition("spread", signal, "<=", limit, size)


def compare_window(kind: str, op: str, window: Array, threshold: Any) -> Array:
    """``[rows]``: where conditions of one kind hold of the signal's values ``window [rows, size]``."""
    met: Array = COMPARISONS[op](*PAIRS[kind](window, threshold))
    return np.asarray(met.all(-1))
