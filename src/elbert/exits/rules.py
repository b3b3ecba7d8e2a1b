"""The base classes of policies: a policy is a list of rules, each with one reason to exit."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from elbert.errors import PolicyError
from elbert.exits.trace import Array, Trace

STAY = -1


class Policy(ABC):
    """Decides from a trace which rows exit. Knows no model; the same object serves live rows and saved outputs."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def rules(self) -> tuple[Rule, ...]:
        """The rules, first one first: where several fire at once, the first is the reason."""

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """The reason of each rule."""
        return tuple(rule.reason for rule in self.rules)

    @cached_property
    def signals(self) -> frozenset[str]:
        """The signals that this policy reads; empty if it depends on depth only."""
        return frozenset(name for rule in self.rules for name in rule.reads)

    def decide(self, trace: Trace) -> Array:
        """``[rows]``: the index of the rule by which the row exits, or :data:`STAY`."""
        decision = np.full_like(trace.depth, STAY)
        for index, rule in reversed(list(enumerate(self.rules))):
            decision[rule.fires(trace)] = index
        return decision

    def leaves(self, trace: Trace) -> Array:
        """``[rows]`` bool: which rows exit at their current depth."""
        return np.asarray(self.decide(trace) != STAY)

    def __or__(self, other: Policy) -> Policy:
        """Exit when either policy exits."""
        if not isinstance(other, Policy):  # fail here for callers without type checks
            return NotImplemented
        return Either((*union_members(self), *union_members(other)))

    def __str__(self) -> str:
        """The spec, which :func:`elbert.policy` reads back."""
        dials = get_dials(type(self))
        return f"{self.name}({', '.join(str(getattr(self, d.name)) for d in dials)})" if dials else self.name

    def __post_init__(self) -> None:
        """Hold every dial to its range."""
        for dial in get_dials(type(self)):
            if "low" in dial.metadata:
                object.__setattr__(self, dial.name, check_dial(self, dial))


class Rule(Policy):
    """A policy with one reason to exit."""

    reads: ClassVar[tuple[str, ...]] = ()

    @property
    def reason(self) -> str:
        """The reason of rows that exit by this rule."""
        return self.name

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Itself."""
        return (self,)

    @abstractmethod
    def fires(self, trace: Trace) -> Array:
        """``[rows]`` bool: where the rule holds."""


@dataclass(frozen=True)
class Either(Policy):
    """A union: a row exits when any of several policies exits; written ``a | b``."""

    name: ClassVar[str] = "|"
    several: tuple[Policy, ...]

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of all members, in order."""
        return tuple(rule for policy in self.several for rule in policy.rules)

    def __str__(self) -> str:
        """The members' specs, joined."""
        return " | ".join(str(policy) for policy in self.several)


def union_members(policy: Policy) -> tuple[Policy, ...]:
    """The policies that a union is made of; a plain policy is its own only member."""
    return policy.several if isinstance(policy, Either) else (policy,)


def get_dials(policy: type[Policy]) -> tuple[dataclasses.Field[Any], ...]:
    """Return the dials of a policy class; a policy without dials need not be a dataclass."""
    return dataclasses.fields(policy) if dataclasses.is_dataclass(policy) else ()


def dial(kind: type, low: float, high: float, default: Any = dataclasses.MISSING) -> Any:
    """A number that a policy is set by, with the range it may take (both ends included)."""
    return field(default=default, metadata={"kind": kind, "low": low, "high": high})


def check_dial(policy: Policy, dial: dataclasses.Field[Any]) -> float:
    """The value of a dial, in its own type.

    Raises:
        PolicyError: it is no number of that kind, or out of range.
    """
    value, kind = getattr(policy, dial.name), dial.metadata["kind"]
    low, high = dial.metadata["low"], dial.metadata["high"]
    right_type = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if not right_type or not low <= value <= high:
        raise PolicyError(f"{dial.name}={value!r} in {policy.name}: accepted is {describe_spec(type(policy))}")
    number: float = kind(value)
    return number


def describe_spec(policy: type[Policy]) -> str:
    """How a policy is written, with the range of each dial, for people."""
    dials = [d for d in get_dials(policy) if d.metadata]
    if not dials:
        return policy.name
    return f"{policy.name}({', '.join(d.name for d in dials)}) with {', '.join(_range(d) for d in dials)}"


def _range(dial: dataclasses.Field[Any]) -> str:
    if "choices" in dial.metadata:
        return f"{dial.name} {' or '.join(dial.metadata['choices'])}"
    kind = "whole number" if dial.metadata["kind"] is int else "number"
    low, high = dial.metadata["low"], dial.metadata["high"]
    return f"{dial.name} a {kind} from {low:g} to {high:g}"
