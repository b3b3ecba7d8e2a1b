"""What a policy is: rules, each of which lets rows leave for one reason."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from elbert.errors import PolicyError
from elbert.exits.signals import Array
from elbert.exits.trace import Trace

STAY = -1


class Policy(ABC):
    """Decides from a trace which rows leave. Knows no model; the same object serves live rows and saved outputs."""

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
        """The signals that this policy reads; none, and it looks at nothing but depth."""
        return frozenset(name for rule in self.rules for name in rule.reads)

    def decide(self, trace: Trace) -> Array:
        """``[rows]``: the index of the rule that lets the row leave, or :data:`STAY`."""
        decision = np.full_like(trace.depth, STAY)
        for index, rule in reversed(list(enumerate(self.rules))):
            decision[rule.fires(trace)] = index
        return decision

    def leaves(self, trace: Trace) -> Array:
        """``[rows]`` bool: which rows leave at the depth where they stand."""
        return np.asarray(self.decide(trace) != STAY)

    def __or__(self, other: Policy) -> Policy:
        """Leave when either says so."""
        if not isinstance(other, Policy):  # a caller without types must not learn it rows later
            return NotImplemented
        return Either((*members(self), *members(other)))

    def __str__(self) -> str:
        """The spec, which :func:`elbert.policy` reads back."""
        dials = policy_dials(type(self))
        return f"{self.name}({', '.join(str(getattr(self, d.name)) for d in dials)})" if dials else self.name

    def __post_init__(self) -> None:
        """Hold every dial to its range."""
        for dial in policy_dials(type(self)):
            if "low" in dial.metadata:
                object.__setattr__(self, dial.name, checked(self, dial))


class Rule(Policy):
    """A policy with one reason to leave."""

    reads: ClassVar[tuple[str, ...]] = ()

    @property
    def reason(self) -> str:
        """What a row that leaves by this rule says."""
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
    """Several policies, any of which lets a row leave; written ``a | b``."""

    name: ClassVar[str] = "|"
    several: tuple[Policy, ...]

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of all members, in order."""
        return tuple(rule for policy in self.several for rule in policy.rules)

    def __str__(self) -> str:
        """The members' specs, joined."""
        return " | ".join(str(policy) for policy in self.several)


def members(policy: Policy) -> tuple[Policy, ...]:
    """The policies that a union is made of; a plain policy is its own only member."""
    return policy.several if isinstance(policy, Either) else (policy,)


def policy_dials(policy: type[Policy]) -> tuple[dataclasses.Field[Any], ...]:
    """What a kind of policy is set by; a policy that is set by nothing need be no dataclass."""
    return dataclasses.fields(policy) if dataclasses.is_dataclass(policy) else ()


def dial(kind: type, low: float, high: float, default: Any = dataclasses.MISSING) -> Any:
    """A number that a policy is set by, with the range it may take (both ends included)."""
    return field(default=default, metadata={"kind": kind, "low": low, "high": high})


def checked(policy: Policy, dial: dataclasses.Field[Any]) -> float:
    """The value of a dial, in its own type.

    Raises:
        PolicyError: it is no number of that kind, or out of range.
    """
    value, kind = getattr(policy, dial.name), dial.metadata["kind"]
    low, high = dial.metadata["low"], dial.metadata["high"]
    right_type = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if not right_type or not low <= value <= high:
        raise PolicyError(f"{dial.name}={value!r} in {policy.name}: accepted is {form(type(policy))}")
    number: float = kind(value)
    return number


def form(policy: type[Policy]) -> str:
    """How a policy is written, with the range of each dial, for people."""
    dials = [d for d in policy_dials(policy) if d.metadata]
    if not dials:
        return policy.name
    return f"{policy.name}({', '.join(d.name for d in dials)}) with {', '.join(_range(d) for d in dials)}"


def _range(dial: dataclasses.Field[Any]) -> str:
    if "choices" in dial.metadata:
        return f"{dial.name} {' or '.join(dial.metadata['choices'])}"
    kind = "whole number" if dial.metadata["kind"] is int else "number"
    low, high = dial.metadata["low"], dial.metadata["high"]
    return f"{dial.name} a {kind} from {low:g} to {high:g}"
