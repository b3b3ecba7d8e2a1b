"""The table of policies for other interpreters: JSON for pages, arrays for native code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.exits.conditions import COMPARISONS, CONDITIONS, AtDepth, AtStart, Condition, Held, Of, Spread
from elbert.exits.policies import POLICIES, ROLES, list_families
from elbert.exits.rules import (
    MAX_TEMPERATURE,
    MAX_TEMPERATURES,
    MIN_TEMPERATURE,
    TEMPERED,
    Depths,
    Dial,
    Family,
    Policy,
    PolicyKind,
)
from elbert.exits.signals import SIGNALS, Signal
from elbert.exits.spec import MAX_SPEC_LENGTH, MIN_VALUES, VALUES_PER_DEPTH


def policy_table() -> dict[str, Any]:
    """Signals, policies, families and limits as plain values for JSON; JavaScript functions as their source."""
    return {
        "signals": [encode_signal(signal) for signal in SIGNALS.values()],
        "policies": [encode_kind(kind) for kind in POLICIES.values()],
        "families": [encode_family(family) for family in list_families().values()],
        TEMPERED: {"low": MIN_TEMPERATURE, "high": MAX_TEMPERATURE, "most": MAX_TEMPERATURES},
        "roles": ROLES,
        "max_spec_length": MAX_SPEC_LENGTH,
        "max_values": {"per_depth": VALUES_PER_DEPTH, "least": MIN_VALUES},
    }


def encode_signal(signal: Signal) -> dict[str, Any]:
    """A signal for JSON; ``first`` is a number, "inf" or null."""
    first = "inf" if signal.first == np.inf else signal.first
    words = None if signal.words is None else list(signal.words)
    kept = {name: getattr(signal, name) for name in ("name", "needs", "worst", "script", "scale", "about")}
    return {**kept, "first": first, "words": words}


def encode_kind(kind: PolicyKind) -> dict[str, Any]:
    """An entry of the table for JSON."""
    return {
        "name": kind.name,
        "dials": [encode_dial(dial) for dial in kind.dials],
        "rules": [
            {
                "reason": form.reason,
                "when": None if form.when is None else {"dial": form.when[0], "choice": form.when[1]},
                "conditions": [encode_condition(condition) for condition in form.conditions],
            }
            for form in kind.rules
        ],
        "summary": kind.summary,
        "citation": kind.citation,
        "examples": [list(values) for values in kind.examples],
    }


def encode_dial(dial: Dial) -> dict[str, Any]:
    """A dial for JSON: its type is "int", "float" or "choice"."""
    found = {"name": dial.name, "label": dial.label, "default": dial.default}
    if dial.choices:
        return {**found, "type": "choice", "choices": dict(dial.choices)}
    return {**found, "type": dial.type.__name__, "low": dial.low, "high": dial.high}


def encode_condition(condition: Condition) -> dict[str, Any]:
    """A condition for JSON: its kind and its fields; a number that a dial sets is ``{dial, factor, plus}``."""
    values = {field.name: getattr(condition, field.name) for field in fields(condition)}
    numbers = {
        name: {"dial": value.dial, "factor": value.factor, "plus": value.plus} if isinstance(value, Of) else value
        for name, value in values.items()
    }
    return {"condition": condition.kind, **numbers}


def encode_family(family: Family) -> dict[str, Any]:
    """A family for JSON: an axis is a list of values, or ``{first, plus, least}``, as :class:`Depths`."""

    def encode_axes(axes: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: {"first": axis.first, "plus": axis.plus, "least": axis.least}
            if isinstance(axis, Depths)
            else list(axis)
            for name, axis in axes.items()
        }

    grids = [{"policy": name, "axes": encode_axes(axes)} for name, axes in family.grids]
    kept = {name: getattr(family, name) for name in ("name", "colour", "dash", "marker", "is_tempered")}
    return {**kept, "grids": grids}


COLUMNS = ("rule", "condition", "signal", "comparison", "size", "temperatures")


@dataclass(frozen=True)
class LoweredPolicy:
    """A policy for a model of ``depths`` depths as arrays that native code can read.

    conditions:   ``[conditions, 6]`` int32, the columns :data:`COLUMNS`: the index of the rule (of ``reasons``), of the
                  condition (of ``CONDITIONS``), of the signal (of ``SIGNALS``; -1 for none), of the comparison (of
                  ``COMPARISONS``; -1 for none), the number of depths, the row of ``temperatures`` (-1 for none)
    thresholds:   ``[conditions]`` float32: threshold or limit; 0 where there is none
    temperatures: ``[distinct, depths]`` float32: by which the logits of each depth are divided
    reasons:      one per rule

    Rules that need all depths or more are absent: at the last depth every row exits anyway.
    """

    depths: int
    conditions: NDArray[np.int32]
    thresholds: NDArray[np.float32]
    temperatures: NDArray[np.float32]
    reasons: tuple[str, ...]

    @property
    def cost(self) -> int:
        """The number of signal values that one decision about one row reads at most."""
        return int(self.conditions[self.conditions[:, 2] >= 0, 4].sum())


def lower_policy(policy: Policy, depths: int) -> LoweredPolicy:
    """The policy as flat arrays, for a model of that many depths."""
    signals, comparisons, rows, thresholds = list(SIGNALS), list(COMPARISONS), [], []
    temperatures: dict[tuple[tuple[float, ...], ...], int] = {}
    for index, rule in enumerate(policy.rules):
        if rule.size >= depths:
            continue
        tempering = temperatures.setdefault(rule.temperatures, len(temperatures)) if rule.temperatures else -1
        for one in rule.conditions:
            signal = -1 if isinstance(one, AtDepth) else signals.index(one.signal)
            comparison = comparisons.index(one.op) if isinstance(one, (Held, AtStart)) else -1
            rows.append((index, CONDITIONS.index(type(one)), signal, comparison, one.size, tempering))
            thresholds.append(one.limit if isinstance(one, Spread) else getattr(one, "threshold", 0.0))
    return LoweredPolicy(
        depths,
        np.array(rows, np.int32).reshape(-1, len(COLUMNS)),
        np.array(thresholds, np.float32),
        np.array([combine_temperatures(several, depths) for several in temperatures], np.float32).reshape(-1, depths),
        policy.reasons,
    )


def combine_temperatures(several: tuple[tuple[float, ...], ...], depths: int) -> NDArray[Any]:
    """``[depths]``: the product of temperatures, each of which repeats its last value for deeper depths."""
    padded = [(*some[:depths], *[some[-1]] * (depths - len(some))) for some in several]
    product: NDArray[Any] = np.prod(np.array(padded), axis=0)
    return product
