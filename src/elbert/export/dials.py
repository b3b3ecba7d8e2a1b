"""Dials: the numbers that policies are set by, as initializers or as inputs of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass
from typing import Literal

import numpy as np

from elbert.exits import Policy, Rule, Tempered
from elbert.exits.policies import Settled
from elbert.exits.rules import members, policy_dials
from elbert.export.graph import FLOAT, INT64, Graph, Value

Dials = Literal["fixed", "optional", "required"]
"""Written into the file; inputs of it that have defaults; inputs that every call must give."""


@dataclass(frozen=True)
class Dial:
    """One of them: its name among the file's inputs, its value in the graph, its default and range."""

    name: str
    value: Value
    default: float | int
    low: float
    high: float
    fixed: bool

    def at_most(self, depths: int) -> int:
        """The largest whole number that makes a difference to a model of so many depths."""
        return min(int(self.default), depths) if self.fixed else depths


@dataclass(frozen=True)
class Set:
    """A rule, the dials that it is set by under their names in its class, and the temperatures it hears heads at.

    Where several temper it, the outermost comes first.
    """

    rule: Rule
    dials: Mapping[str, Dial]
    temperatures: tuple[tuple[float, ...], ...]


def dialled(g: Graph, policy: Policy, dials: Dials) -> list[Set]:
    """The rules of a policy in order, their dials in the outermost graph.

    An input is called ``entropy_threshold``, and ``entropy2_threshold`` where a union has two of a kind.
    """
    kinds: list[str] = []
    found: list[Set] = []
    for member, temperatures in single(policy):
        kinds.append(member.name)
        again = kinds.count(member.name)
        name = f"{member.name}{again}" if again > 1 else member.name
        own = {about.name: made(g, f"{name}_{about.name}", member, about, dials) for about in numbers(member)}
        for rule in member.rules:
            # A window's first stage is an entropy rule, whose threshold is the window's dial "entropy".
            stage = own if rule is member or isinstance(rule, Settled) else {"threshold": own["entropy"]}
            found.append(Set(rule, stage, temperatures))
    return found


def single(policy: Policy) -> Iterator[tuple[Policy, tuple[tuple[float, ...], ...]]]:
    """The policies that unions and temperings are made of, each with its temperatures."""
    for member in members(policy):
        if isinstance(member, Tempered):
            yield from ((inner, (member.temperatures, *more)) for inner, more in single(member.policy))
        else:
            yield member, ()


def numbers(policy: Policy) -> Iterator[Field[float]]:
    """The dials that are numbers."""
    return (dial for dial in policy_dials(type(policy)) if "low" in dial.metadata)


def made(g: Graph, name: str, policy: Policy, about: Field[float], dials: Dials) -> Dial:
    """A dial in the outermost graph; what callers give is held to its range there."""
    default: float | int = getattr(policy, about.name)
    low, high = about.metadata["low"], about.metadata["high"]
    whole = about.metadata["kind"] is int
    kind = np.int64 if whole else np.float32  # in which Python compares probabilities, too
    array = np.array(default, kind)
    if dials == "fixed":
        return Dial(name, g.value(array), default, low, high, fixed=True)
    given = g.input(name, INT64 if whole else FLOAT, [])
    if dials == "optional":
        g.weight(name, array)
    held = g.Clip(given, np.array(low, kind), np.array(high, kind))
    return Dial(name, held, default, low, high, fixed=False)
