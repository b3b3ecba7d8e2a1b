"""Dials: the numbers of policies, as constants or as inputs of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass
from typing import Literal

import numpy as np

from elbert.exits import Policy, Rule, Tempered
from elbert.exits.policies import WindowRule
from elbert.exits.rules import get_dials, union_members
from elbert.export.graph import FLOAT, INT64, Graph, Value

Dials = Literal["fixed", "optional", "required"]
"""Constants of the file; inputs with defaults; inputs that every call must pass."""


@dataclass(frozen=True)
class Dial:
    """One number of a policy: its input name, its value in the graph, its default and range."""

    name: str
    value: Value
    default: float | int
    low: float
    high: float
    fixed: bool

    def at_most(self, depths: int) -> int:
        """The largest value that the dial can have, capped at ``depths``, beyond which nothing changes."""
        return min(int(self.default), depths) if self.fixed else depths


@dataclass(frozen=True)
class BoundRule:
    """A rule with its dials, by field name, and the temperatures it is read at, outermost first."""

    rule: Rule
    dials: Mapping[str, Dial]
    temperatures: tuple[tuple[float, ...], ...]


def bind_dials(g: Graph, policy: Policy, dials: Dials) -> list[BoundRule]:
    """The rules of a policy in order, with their dials in the outermost graph.

    An input is called ``entropy_threshold``, and ``entropy2_threshold`` where a union has two of a kind.
    """
    kinds: list[str] = []
    found: list[BoundRule] = []
    for member, temperatures in split_members(policy):
        kinds.append(member.name)
        again = kinds.count(member.name)
        name = f"{member.name}{again}" if again > 1 else member.name
        own = {
            about.name: make_dial(g, f"{name}_{about.name}", member, about, dials) for about in numeric_dials(member)
        }
        for rule in member.rules:
            # A window's first stage is an entropy rule; its threshold is the window's dial "entropy".
            stage = own if rule is member or isinstance(rule, WindowRule) else {"threshold": own["entropy"]}
            found.append(BoundRule(rule, stage, temperatures))
    return found


def split_members(policy: Policy) -> Iterator[tuple[Policy, tuple[tuple[float, ...], ...]]]:
    """The innermost policies of unions and tempered policies, each with its temperatures."""
    for member in union_members(policy):
        if isinstance(member, Tempered):
            yield from ((inner, (member.temperatures, *more)) for inner, more in split_members(member.policy))
        else:
            yield member, ()


def numeric_dials(policy: Policy) -> Iterator[Field[float]]:
    """The numeric dials of a policy, as dataclass fields."""
    return (dial for dial in get_dials(type(policy)) if "low" in dial.metadata)


def make_dial(g: Graph, name: str, policy: Policy, about: Field[float], dials: Dials) -> Dial:
    """Create a dial in the outermost graph; an input is clipped to the dial's range."""
    default: float | int = getattr(policy, about.name)
    low, high = about.metadata["low"], about.metadata["high"]
    whole = about.metadata["kind"] is int
    kind = np.int64 if whole else np.float32  # as in Python's comparison of probabilities
    array = np.array(default, kind)
    if dials == "fixed":
        return Dial(name, g.value(array), default, low, high, fixed=True)
    declared = g.input(name, INT64 if whole else FLOAT, [])
    if dials == "optional":
        g.weight(name, array)
    held = g.Clip(declared, np.array(low, kind), np.array(high, kind))
    return Dial(name, held, default, low, high, fixed=False)
