"""The table of policies for other interpreters: JSON for pages, arrays for native code."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.exits.conditions import COMPARISONS, CONDITIONS, SIGNS, WORDS
from elbert.exits.policies import OURS, POLICIES, ROLES, list_families
from elbert.exits.rules import MAX_TEMPERATURES, TEMPERATURE, TEMPERED, Dial, Family, Policy, PolicyKind
from elbert.exits.signals import SIGNALS, Content, Signal
from elbert.exits.spec import MAX_SPEC_LENGTH, MIN_VALUES, VALUES_PER_DEPTH
from elbert.exits.trace import pad_temperatures


def policy_table(content: Content = "probabilities", *, per_token: bool = False) -> dict[str, Any]:
    """Signals, words of conditions, policies, families and limits for JSON; JavaScript functions as their source.

    Only policies that fit such outputs are in it. Temperatures fit probabilities, if there is one answer for each text.
    """
    has_temperatures = content == "probabilities" and not per_token
    return {
        "signals": [encode_signal(signal) for signal in SIGNALS.values()],
        "conditions": WORDS,
        "signs": SIGNS,
        "policies": [encode_kind(kind) for kind in POLICIES.values() if kind.fits(content)],
        "families": [encode_family(family) for family in list_families(content).values()],
        TEMPERED: {
            "low": TEMPERATURE.low,
            "high": TEMPERATURE.high,
            "most": MAX_TEMPERATURES,
            "fits": has_temperatures,
        },
        "roles": ROLES | {"ours": OURS[content]},
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
                "conditions": [asdict(condition) for condition in form.conditions],
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


def encode_family(family: Family) -> dict[str, Any]:
    """A family for JSON: an axis is a list of values, or ``{first, plus, least}``, as :class:`Depths`."""
    found = asdict(family)
    return {**found, "grids": [{"policy": name, "axes": axes} for name, axes in found["grids"]]}


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
            signal = signals.index(one.signal) if one.signal else -1
            comparison = comparisons.index(one.op) if one.signal else -1
            rows.append((index, CONDITIONS.index(one.kind), signal, comparison, one.size, tempering))
            thresholds.append(one.threshold)
    return LoweredPolicy(
        depths,
        np.array(rows, np.int32).reshape(-1, len(COLUMNS)),
        np.array(thresholds, np.float32),
        np.array([combine_temperatures(several, depths) for several in temperatures], np.float32).reshape(-1, depths),
        policy.reasons,
    )


def combine_temperatures(several: tuple[tuple[float, ...], ...], depths: int) -> NDArray[Any]:
    """``[depths]``: the product of temperatures, each of which repeats its last value for deeper depths."""
    product: NDArray[Any] = np.prod([pad_temperatures(some, depths) for some in several], axis=0)
    return product
