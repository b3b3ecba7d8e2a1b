"""Dials: the numbers of policies, as constants or as inputs of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from elbert.exits import Policy
from elbert.exits.conditions import Condition
from elbert.exits.rules import Dial as DialForm
from elbert.exits.rules import Single
from elbert.export.graph import FLOAT, INT64, Graph, Value

Dials = Literal["fixed", "optional", "required"]
"""Constants of the file; inputs with defaults; inputs that every call must pass."""


@dataclass(frozen=True)
class Dial:
    """One number of a policy as an input: its name, its value in the graph, its default and range.

    ``never`` is the end of its range at which rules that read it fire least.
    """

    name: str
    value: Value
    default: float | int
    low: float
    high: float
    never: float


@dataclass(frozen=True)
class BoundRule:
    """The conditions of a rule, the dials that are inputs by name, and its temperatures, outermost first."""

    conditions: tuple[Condition, ...]
    dials: Mapping[str, Dial]
    temperatures: tuple[tuple[float, ...], ...]


def bind_dials(g: Graph, policy: Policy, dials: Dials) -> list[BoundRule]:
    """The rules of a policy in order, with their dials in the outermost graph.

    An input is called ``entropy_threshold``, and ``entropy2_threshold`` where a union has two of a kind.
    """
    kinds: list[str] = []
    found: list[BoundRule] = []
    for member, temperatures in policy.members:
        kinds.append(member.name)
        again = kinds.count(member.name)
        name = f"{member.name}{again}" if again > 1 else member.name
        if dials == "fixed":
            found += [BoundRule(rule.conditions, {}, temperatures) for rule in member.rules]
            continue
        own = {
            about.name: make_dial(g, f"{name}_{about.name}", member, about, has_default=dials == "optional")
            for about in member.kind.dials
            if not about.choices
        }
        found += [BoundRule(form.conditions, own, temperatures) for form in member.forms]
    return found


def find_never(member: Single, name: str) -> float:
    """The end of a dial's range at which the rules of a policy fire least: by the comparisons it is part of."""
    (about,) = (dial for dial in member.kind.dials if dial.name == name)
    for condition in (condition for form in member.forms for condition in form.conditions):
        for part, number in condition.dial_numbers():
            is_below = part == "threshold" and "<" in condition.op
            if number.dial == name:
                return about.low if is_below == (number.factor > 0) else about.high
    return about.high


def make_dial(g: Graph, name: str, member: Single, about: DialForm, *, has_default: bool) -> Dial:
    """Declare a dial as an input of the outermost graph, clipped to the dial's range."""
    default, whole = member.dials[about.name], about.type is int
    kind = np.int64 if whole else np.float32  # as in Python's comparison of probabilities
    declared = g.input(name, INT64 if whole else FLOAT, [])
    if has_default:
        g.weight(name, np.array(default, kind))
    clipped = g.Clip(declared, np.array(about.low, kind), np.array(about.high, kind))
    return Dial(name, clipped, default, about.low, about.high, find_never(member, about.name))
