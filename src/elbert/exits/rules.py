"""Policies as values: kinds with dials, the rules that a policy consists of, unions and temperatures.

A policy is a list of rules, each a conjunction of conditions with one reason to exit. The kinds of policies are the
entries of the table in :mod:`elbert.exits.policies`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from elbert.errors import PolicyError
from elbert.exits.conditions import Condition
from elbert.exits.signals import SIGNALS, Array, Content
from elbert.exits.trace import Trace

STAY = -1
TEMPERED = "tempered"


@dataclass(frozen=True)
class Rule:
    """One reason to exit: all conditions hold, of the trace at these temperatures (outermost first)."""

    reason: str
    conditions: tuple[Condition, ...]
    temperatures: tuple[tuple[float, ...], ...] = ()

    @cached_property
    def size(self) -> int:
        """The number of depths that it needs: it fires at no shallower one."""
        return max(int(condition.size) for condition in self.conditions)

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The signals that it reads."""
        return tuple(condition.signal for condition in self.conditions if condition.signal)

    def fires(self, trace: Trace) -> Array:
        """``[rows]`` bool: where the rule ends a row."""
        fires: Array | None = None  # every row is at depth 1 or deeper
        if self.size > 1 or not self.reads:
            fires = np.greater_equal(trace.depth, self.size)
        for temperatures in self.temperatures if fires is None or fires.any() else ():
            trace = trace.tempered(temperatures)
        for condition in self.conditions:
            if not condition.signal:
                continue
            if fires is not None and not fires.any():  # no further than needed: at most depths no row fulfils them
                break
            fires = condition.holds(trace) if fires is None else fires & condition.holds(trace)
        return np.asarray(fires)

    def __hash__(self) -> int:
        """Computed once: sweeps look rules up many thousand times."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.reason, self.conditions, self.temperatures))


class Policy(ABC):
    """Decides from a trace which rows exit. Knows no model; the same object serves live rows and saved outputs."""

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
        members = dict.fromkeys((*union_members(self), *union_members(other)))  # twice the same decides nothing more
        return Either(tuple(members)) if len(members) > 1 else self


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


@dataclass(frozen=True, eq=False)
class RuleForm:
    """A rule whose numbers may be dials; ``when`` is the choice of a dial with which it is part of the policy."""

    reason: str
    conditions: tuple[Condition, ...]
    when: tuple[str, str] | None = None

    @cached_property
    def dials(self) -> tuple[str, ...]:
        """The dials that set its numbers."""
        return tuple(dict.fromkeys(of.dial for c in self.conditions for _, of in c.dial_numbers()))


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
    """

    name: str
    dials: tuple[Dial, ...]
    rules: tuple[RuleForm, ...]
    summary: str
    citation: str = ""
    families: tuple[Family, ...] = ()
    examples: tuple[tuple[Any, ...], ...] = ()

    def __call__(self, *values: Any, **dials: Any) -> Single:
        """The policy with these dials, by position or by name.

        Raises:
            PolicyError: a dial is missing, unknown, set twice or out of range; the message shows the accepted form.
        """
        if dials or len(values) != len(self.dials):
            values = self._arrange(values, dials)
        for dial, value in zip(self.dials, values, strict=True):
            if not dial.accepts(value):
                raise PolicyError(f"{dial.name}={value!r} in {self.name}: accepted is {self.describe()}")
        return Single(self.name, tuple(d.type(v) for d, v in zip(self.dials, values, strict=True)), self)

    def fits(self, content: Content) -> bool:
        """Whether all its rules read signals of such outputs; policies that read no signal fit all."""
        conditions = (condition for form in self.rules for condition in form.conditions)
        return all(SIGNALS[c.signal].needs == content for c in conditions if c.signal)

    def _arrange(self, values: tuple[Any, ...], dials: dict[str, Any]) -> tuple[Any, ...]:
        placed = dict(zip(self._names, values, strict=False))
        found = {d.name: d.default for d in self.dials if d.default is not None} | placed | dials
        if len(values) > len(self.dials) or placed.keys() & dials.keys() or found.keys() != set(self._names):
            raise PolicyError(f"these dials do not fit {self.name}: accepted is {self.describe()}")
        return tuple(found[name] for name in self._names)

    def describe(self) -> str:
        """How the policy is written, with the range of each dial, for messages."""
        if not self.dials:
            return self.name
        return f"{self.name}({', '.join(self._names)}) with {', '.join(dial.describe() for dial in self.dials)}"

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(dial.name for dial in self.dials)


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
    def forms(self) -> tuple[RuleForm, ...]:
        """The rules in use, with dials for numbers."""
        return tuple(r for r in self.kind.rules if r.when is None or self.dials[r.when[0]] == r.when[1])

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in use, with plain numbers."""
        return tuple(settle_rule(form, tuple(self.dials[name] for name in form.dials)) for form in self.forms)

    def __str__(self) -> str:
        """The spec, which :func:`elbert.policy` reads back; dials have their names where there are many."""
        named = len(self.values) > 2
        shown = (f"{name}={value}" if named else str(value) for name, value in self.dials.items())
        return f"{self.name}({', '.join(shown)})" if self.values else self.name


@lru_cache(maxsize=20_000)
def settle_rule(form: RuleForm, values: tuple[Any, ...]) -> Rule:
    """The rule with these values of its dials; policies of a sweep share most of their rules."""
    dials = dict(zip(form.dials, values, strict=True))
    return Rule(form.reason, tuple(condition.settle(dials) for condition in form.conditions))


@dataclass(frozen=True)
class Either(Policy):
    """A union: a row exits when any of several policies exits; written ``a | b``."""

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


MIN_TEMPERATURE, MAX_TEMPERATURE, MAX_TEMPERATURES = 0.05, 20.0, 64
TEMPERED_FORM = (
    f"{TEMPERED}(policy, T1, T2, …) with 1 to {MAX_TEMPERATURES} temperatures from {MIN_TEMPERATURE:g} to "
    f"{MAX_TEMPERATURE:g}, the last of which holds for all deeper depths"
)


@dataclass(frozen=True)
class Tempered(Policy):
    """A policy whose exit head is calibrated depth by depth, so that one threshold means the same at every depth.

    It changes when rows exit; their predictions keep the head's own probabilities.
    """

    policy: Policy
    temperatures: tuple[float, ...]

    def __post_init__(self) -> None:
        """Hold the temperatures to their range."""
        numbers = all(isinstance(t, (int, float)) and not isinstance(t, bool) for t in self.temperatures)
        if not numbers or not 1 <= len(self.temperatures) <= MAX_TEMPERATURES:
            raise PolicyError(f"{len(self.temperatures)} temperatures in {TEMPERED}: accepted is {TEMPERED_FORM}")
        wrong = [t for t in self.temperatures if not MIN_TEMPERATURE <= t <= MAX_TEMPERATURE]
        if wrong:
            raise PolicyError(f"temperature {wrong[0]!r} in {TEMPERED}: accepted is {TEMPERED_FORM}")
        object.__setattr__(self, "temperatures", tuple(map(float, self.temperatures)))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The policy's, each with the temperatures."""
        return tuple(replace(rule, temperatures=(self.temperatures, *rule.temperatures)) for rule in self.policy.rules)

    def __str__(self) -> str:
        """The spec."""
        return f"{TEMPERED}({self.policy}, {', '.join(map(str, self.temperatures))})"


def innermost_members(policy: Policy) -> Iterator[tuple[Single, tuple[tuple[float, ...], ...]]]:
    """The single policies inside unions and temperatures, in the order of their rules, each with its temperatures."""
    for member in union_members(policy):
        if isinstance(member, Tempered):
            yield from ((inner, (member.temperatures, *more)) for inner, more in innermost_members(member.policy))
        elif isinstance(member, Single):
            yield member, ()
