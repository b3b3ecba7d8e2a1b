"""The five conditions that every rule of a policy is made of, and what they mean for a trace, in numpy.

A rule is a conjunction of conditions. Their numbers are plain, or :class:`Of` a dial, as in the table of policies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

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


@dataclass(frozen=True)
class AtDepth:
    """At depth ``depth`` and deeper."""

    kind: ClassVar[str] = "at_depth"
    depth: Number

    @property
    def size(self) -> Number:
        """The number of depths that it needs."""
        return self.depth

    def holds(self, trace: Trace) -> Array:
        """Where the depth is reached, which rules test for all their conditions."""
        return np.ones(len(trace.depth), bool)


@dataclass(frozen=True)
class Held:
    """``signal op threshold`` at each of the last ``times`` depths."""

    kind: ClassVar[str] = "held"
    signal: str
    op: str
    threshold: Number
    times: Number = 1

    @property
    def size(self) -> Number:
        """The number of depths that it needs."""
        return self.times

    def holds(self, trace: Trace) -> Array:
        """``[rows]``: where it holds, among rows that are deep enough."""
        compare = COMPARISONS[self.op]
        if self.times == 1:
            now: Array = compare(trace.now(self.signal), self.threshold)
            return now
        at_each: Array = compare(trace.window(self.signal, self.times), self.threshold)
        return np.asarray(at_each.all(-1))


@dataclass(frozen=True)
class AtStart:
    """``signal op threshold`` at the first of the last ``size`` depths."""

    kind: ClassVar[str] = "at_start"
    signal: str
    op: str
    threshold: Number
    size: Number

    def holds(self, trace: Trace) -> Array:
        """``[rows]``: where it holds, among rows that are deep enough."""
        start: Array = COMPARISONS[self.op](trace.window(self.signal, self.size)[:, 0], self.threshold)
        return start


@dataclass(frozen=True)
class Rising:
    """``signal`` never falls over the last ``size`` depths."""

    kind: ClassVar[str] = "rising"
    signal: str
    size: Number

    def holds(self, trace: Trace) -> Array:
        """``[rows]``: where it holds, among rows that are deep enough."""
        window = trace.window(self.signal, self.size)
        rising: Array = np.all(window[:, 1:] >= window[:, :-1], axis=-1)
        return rising


@dataclass(frozen=True)
class Spread:
    """``signal`` moves by at most ``limit`` over the last ``size`` depths, largest minus smallest."""

    kind: ClassVar[str] = "spread"
    signal: str
    limit: Number
    size: Number

    def holds(self, trace: Trace) -> Array:
        """``[rows]``: where it holds, among rows that are deep enough."""
        window = trace.window(self.signal, self.size)
        moves: Array = window.max(-1) - window.min(-1)
        return np.asarray(moves <= self.limit)


Condition = AtDepth | Held | AtStart | Rising | Spread
CONDITIONS: tuple[type[Condition], ...] = (AtDepth, Held, AtStart, Rising, Spread)
C = TypeVar("C", bound=Condition)


def settle_numbers(condition: C, dials: Mapping[str, Any]) -> C:
    """The condition with plain numbers for those that dials set."""
    return replace(condition, **{name: of.value(dials) for name, of in dial_numbers(condition)})


def dial_numbers(condition: Condition) -> Iterator[tuple[str, Of]]:
    """The fields of a condition that dials set."""
    for field in fields(condition):
        if isinstance(value := getattr(condition, field.name), Of):
            yield field.name, value
