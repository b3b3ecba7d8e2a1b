"""Policies as values: kinds with dials, the rules that a policy consists of, unions and temperatures.

A policy is a list of rules, each a conjunction of conditions with one reason to exit. The kinds of policies are the
entries of the table in :mod:`elbert.exits.policies`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from elbert.errors import PolicyError
from elbert.exits.conditions import Condition
from elbert.exits.list_rules import ListRule
from elbert.exits.signals import SIGNALS, Array, Content
from elbert.exits.trace import Trace

STAY = -1
TEMPERED = "tempered"
Temperatures = tuple[float, ...]
"""One for each depth; the last one holds for all deeper depths."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One reason to exit: all conditions hold, of the trace at these temperatures (outermost first).

    In the table, numbers of its conditions may be dials, and ``when`` is the choice of a dial with which it is part of
    the policy. The rules of a policy have plain numbers; equal ones are one object (:func:`settle_rule`).
    """

    reason: str
    conditions: tuple[Condition, ...]
    when: tuple[str, str] | None = None
    temperatures: tuple[Temperatures, ...] = ()

    @cached_property
    def size(self) -> int:
        """The number of depths that it needs: it fires at no shallower one."""
        return max(int(condition.size) for condition in self.conditions)

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The signals that it reads."""
        return tuple(condition.signal for condition in self.conditions if condition.signal)

    @cached_property
    def dials(self) -> tuple[str, ...]:
        """The dials that set its numbers."""
        return tuple(dict.fromkeys(of.dial for c in self.conditions for _, of in c.dial_numbers()))

    def fires(self, trace: Trace) -> Array:
        """``[rows]`` bool: where the rule ends a row."""
        for temperatures in self.temperatures:
            trace = trace.tempered(temperatures)
        fires = self.conditions[0].holds(trace)
        for condition in self.conditions[1:]:
            if not fires.any():  # no further than needed: at most depths no row fulfils all
                break
            fires = fires & condition.holds(trace)
        return fires


@lru_cache(maxsize=20_000)
def settle_rule(rule: Rule, values: tuple[Any, ...], temperatures: tuple[Temperatures, ...]) -> Rule:
    """A rule of the table with these values of its dials; policies of a sweep share most of their rules."""
    dials = dict(zip(rule.dials, values, strict=True))
    conditions = tuple(condition.settle(dials) for condition in rule.conditions)
    return replace(rule, conditions=conditions, temperatures=temperatures)


class Policy(ABC):
    """Decides from a trace which rows exit. Knows no model; the same object serves live rows and saved outputs."""

    @property
    @abstractmethod
    def members(self) -> tuple[tuple[Single, tuple[Temperatures, ...]], ...]:
        """The single policies inside unions and temperatures, each with its temperatures, outermost first."""

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, first one first: where several fire at once, the first is the reason."""
        return tuple(
            settle_rule(form, tuple(member.dials[name] for name in form.dials), temperatures)
            for member, temperatures in self.members
            for form in member.forms
        )

    @cached_property
    def list_rules(self) -> tuple[ListRule, ...]:
        """The rules over the rows of a list, which the engine applies beside :attr:`rules`."""
        return tuple(rule.settle(member.dials) for member, _ in self.members for rule in member.kind.list_rules)

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
        decision = np.full(len(trace.depth), STAY)
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
        several = tuple(dict.fromkeys((*union_members(self), *union_members(other))))  # twice decides nothing more
        return Either(several) if len(several) > 1 else self


@dataclass(frozen=True)
class Dial:
    """A number or word that a policy is set by: its type (``int``, ``float``, ``str``), range or choices, default.

    ``label`` is its name beside a slider. ``default`` is None where a spec must set it.
    """

    name: str
    label: str
    type: type = float
    low: float = 0.0
    high: float = 1.0
    default: Any = None
    choices: Mapping[str, str] = field(default_factory=dict)  # what each choice means

    def accepts(self, value: object) -> bool:
        """Whether the value is of the type and in the range (both ends included)."""
        if self.choices:
            return isinstance(value, str) and value in self.choices
        number = isinstance(value, int if self.type is int else (int, float)) and not isinstance(value, bool)
        return number and self.low <= value <= self.high  # type: ignore[operator]  # a number

    def describe(self) -> str:
        """The name and what it accepts, for messages."""
        if self.choices:
            return f"{self.name} {' or '.join(self.choices)}"
        number = "whole number" if self.type is int else "number"
        return f"{self.name} a {number} from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Depths:
    """Whole numbers of a sweep: from ``first`` to the larger of ``depths + plus`` and ``least``."""

    first: int
    plus: int = 0
    least: int = 0

    def values(self, depths: int) -> range:
        """The numbers for a model of that many depths."""
        return range(self.first, max(depths + self.plus, self.least) + 1)


Axis = tuple[Any, ...] | Depths
Grid = tuple[str, Mapping[str, Axis]]
"""A policy's name, and the values of its dials; a dial that is absent keeps its default."""


@dataclass(frozen=True, eq=False)
class Family:
    """Policies that a sweep tries together: the product of its grids; several grids make unions.

    ``order`` sorts families in tables and legends. ``colour``, ``dash`` and ``marker`` are those of its curve (dash
    and marker in matplotlib's words), distinct without colour too. ``is_tempered``: comparisons also sweep the family
    with temperatures, fitted on the texts that choose the dials.
    """

    name: str
    grids: tuple[Grid, ...]
    colour: str = "#000000"
    dash: str = "-"
    marker: str = ""
    order: int = 100
    is_tempered: bool = False


@dataclass(frozen=True, eq=False)
class PolicyKind:
    """One entry of the table of policies; calling it makes a policy: ``kind(0.1, size=6)``.

    ``summary`` completes "a text exits when …" (in Markdown), ``examples`` are dials to compare a single text with.
    ``list_rules`` are for rows of a list that is ranked.
    """

    name: str
    dials: tuple[Dial, ...]
    rules: tuple[Rule, ...]
    summary: str
    citation: str = ""
    families: tuple[Family, ...] = ()
    examples: tuple[tuple[Any, ...], ...] = ()
    list_rules: tuple[ListRule, ...] = ()

    def __call__(self, *values: Any, **dials: Any) -> Single:
        """The policy with these dials, by position or by name.

        Raises:
            PolicyError: a dial is missing, unknown, set twice or out of range; the message shows the accepted form.
        """
        names = [dial.name for dial in self.dials]
        placed = dict(zip(names, values, strict=False))
        found = {dial.name: dial.default for dial in self.dials if dial.default is not None} | placed | dials
        if len(values) > len(names) or placed.keys() & dials.keys() or found.keys() != set(names):
            raise PolicyError(f"these dials do not fit {self.name}: accepted is {self.describe()}")
        for dial in self.dials:
            if not dial.accepts(found[dial.name]):
                raise PolicyError(f"{dial.name}={found[dial.name]!r} in {self.name}: accepted is {self.describe()}")
        return Single(self.name, tuple(dial.type(found[dial.name]) for dial in self.dials), self)

    def fits(self, content: Content) -> bool:
        """Whether all its rules read signals of such outputs; policies that read no signal fit all."""
        return all(SIGNALS[name].needs == content for rule in self.rules for name in rule.reads)

    def describe(self) -> str:
        """How the policy is written, with the range of each dial, for messages."""
        if not self.dials:
            return self.name
        names, ranges = ", ".join(dial.name for dial in self.dials), ", ".join(dial.describe() for dial in self.dials)
        return f"{self.name}({names}) with {ranges}"


@dataclass(frozen=True)
class Single(Policy):
    """A policy of one kind with its dials."""

    name: str
    values: tuple[Any, ...]
    kind: PolicyKind = field(compare=False, repr=False)

    @cached_property
    def dials(self) -> dict[str, Any]:
        """The dials by name."""
        return {dial.name: value for dial, value in zip(self.kind.dials, self.values, strict=True)}

    @cached_property
    def forms(self) -> tuple[Rule, ...]:
        """The rules in use, with dials for numbers."""
        return tuple(r for r in self.kind.rules if r.when is None or self.dials[r.when[0]] == r.when[1])

    @property
    def members(self) -> tuple[tuple[Single, tuple[Temperatures, ...]], ...]:
        """Itself."""
        return ((self, ()),)

    def __str__(self) -> str:
        """The spec, which :func:`elbert.policy` reads back; dials have their names where there are many."""
        named = len(self.values) > 2
        shown = (f"{name}={value}" if named else str(value) for name, value in self.dials.items())
        return f"{self.name}({', '.join(shown)})" if self.values else self.name


@dataclass(frozen=True)
class Either(Policy):
    """A union: a row exits when any of several policies exits; written ``a | b``."""

    several: tuple[Policy, ...]

    @property
    def members(self) -> tuple[tuple[Single, tuple[Temperatures, ...]], ...]:
        """Those of all policies, in order."""
        return tuple(member for policy in self.several for member in policy.members)

    def __str__(self) -> str:
        """The policies' specs, joined."""
        return " | ".join(map(str, self.several))


def union_members(policy: Policy) -> tuple[Policy, ...]:
    """The policies that a union is made of; a plain policy is its own only member."""
    return policy.several if isinstance(policy, Either) else (policy,)


TEMPERATURE, MAX_TEMPERATURES = Dial("temperature", "Temperature", low=0.05, high=20.0), 64
TEMPERED_FORM = (
    f"{TEMPERED}(policy, T1, T2, …) with 1 to {MAX_TEMPERATURES} temperatures from {TEMPERATURE.low:g} to "
    f"{TEMPERATURE.high:g}, the last of which holds for all deeper depths"
)


@dataclass(frozen=True)
class Tempered(Policy):
    """A policy whose exit head is calibrated depth by depth, so that one threshold means the same at every depth.

    It changes when rows exit; their predictions keep the head's own probabilities.
    """

    policy: Policy
    temperatures: Temperatures

    def __post_init__(self) -> None:
        """Hold the temperatures to their range."""
        wrong = [t for t in self.temperatures if not TEMPERATURE.accepts(t)]
        if wrong or not 1 <= len(self.temperatures) <= MAX_TEMPERATURES:
            what = f"temperature {wrong[0]!r}" if wrong else f"{len(self.temperatures)} temperatures"
            raise PolicyError(f"{what} in {TEMPERED}: accepted is {TEMPERED_FORM}")
        if self.policy.list_rules:
            raise PolicyError(
                f"{self.policy} compares scores of a list, which have no temperature: leave {TEMPERED} out"
            )
        object.__setattr__(self, "temperatures", tuple(map(float, self.temperatures)))

    @property
    def members(self) -> tuple[tuple[Single, tuple[Temperatures, ...]], ...]:
        """The policy's, each with the temperatures."""
        return tuple((member, (self.temperatures, *inner)) for member, inner in self.policy.members)

    def __str__(self) -> str:
        """The spec."""
        return f"{TEMPERED}({self.policy}, {', '.join(map(str, self.temperatures))})"
