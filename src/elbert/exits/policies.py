"""Exit policies: fixed depth, one-signal thresholds, patience, ELBERT's window, and policies over temperatures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from elbert.errors import PolicyError
from elbert.exits.rules import Policy, Rule, describe_spec, dial
from elbert.exits.trace import Array, Trace

MAX_DEPTH = 1000  # deeper than any model; a spec from outside cannot request a window of a billion depths


@dataclass(frozen=True)
class Full(Policy):
    """Run to the last depth."""

    name: ClassVar[str] = "full"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """None."""
        return ()


@dataclass(frozen=True)
class Depth(Rule):
    """Exit at a fixed depth: the baseline of a shallower model."""

    name: ClassVar[str] = "depth"
    depth: int = dial(int, 1, MAX_DEPTH)

    def fires(self, trace: Trace) -> Array:
        """At the depth, and after it for rows that were deeper already."""
        return trace.depth >= self.depth


@dataclass(frozen=True)
class Entropy(Rule):
    """Normalised entropy below a threshold, strictly (FastBERT; DeeBERT in nats; ELBERT's first stage)."""

    name: ClassVar[str] = "entropy"
    reads: ClassVar[tuple[str, ...]] = ("entropy",)
    threshold: float = dial(float, 0, 1)

    def fires(self, trace: Trace) -> Array:
        """Where the entropy is below the threshold at the current depth."""
        return trace.now("entropy") < self.threshold


@dataclass(frozen=True)
class Confidence(Rule):
    """The largest probability reaches a threshold (Schwartz et al., ACL 2020)."""

    name: ClassVar[str] = "confidence"
    reads: ClassVar[tuple[str, ...]] = ("confidence",)
    threshold: float = dial(float, 0, 1)

    def fires(self, trace: Trace) -> Array:
        """Where the confidence reaches the threshold at the current depth."""
        return trace.now("confidence") >= self.threshold


@dataclass(frozen=True)
class Gap(Rule):
    """The two largest probabilities are a threshold apart (CALM, NeurIPS 2022)."""

    name: ClassVar[str] = "gap"
    reads: ClassVar[tuple[str, ...]] = ("gap",)
    threshold: float = dial(float, 0, 1)

    def fires(self, trace: Trace) -> Array:
        """Where the gap reaches the threshold at the current depth."""
        return trace.now("gap") >= self.threshold


@dataclass(frozen=True)
class Patience(Rule):
    """The predicted label has stayed the same ``times`` times in a row (PABEE, NeurIPS 2020)."""

    name: ClassVar[str] = "patience"
    reads: ClassVar[tuple[str, ...]] = ("same",)
    times: int = dial(int, 0, MAX_DEPTH)

    def fires(self, trace: Trace) -> Array:
        """Where the last ``times + 1`` predicted labels are equal."""
        if self.times == 0:
            return trace.depth >= 1
        patient: Array = (trace.window("same", self.times) == 1).all(-1)
        return (trace.depth > self.times) & patient


@dataclass(frozen=True)
class PatientConfidence(Rule):
    """Entropy below a threshold ``times`` depths in a row (PCEE-BERT, NAACL Findings 2022)."""

    name: ClassVar[str] = "patient_confidence"
    reads: ClassVar[tuple[str, ...]] = ("entropy",)
    times: int = dial(int, 1, MAX_DEPTH)
    threshold: float = dial(float, 0, 1)

    def fires(self, trace: Trace) -> Array:
        """Where the entropy was below the threshold at the last ``times`` depths."""
        return (trace.depth >= self.times) & (trace.window("entropy", self.times) < self.threshold).all(-1)


@dataclass(frozen=True)
class Divergence(Rule):
    """Distributions of neighbouring depths this close ``times`` steps in a row (F-PABEE, ICASSP 2023)."""

    name: ClassVar[str] = "divergence"
    reads: ClassVar[tuple[str, ...]] = ("divergence",)
    times: int = dial(int, 1, MAX_DEPTH)
    threshold: float = dial(float, 0, math.log(2))

    def fires(self, trace: Trace) -> Array:
        """Where the divergence was below the threshold at the last ``times`` steps."""
        return (trace.depth > self.times) & (trace.window("divergence", self.times) < self.threshold).all(-1)


AGREE, TREND, STABLE = RULES = ("agree", "trend", "stable")


@dataclass(frozen=True)
class WindowRule(Rule):
    """The second stage alone, over the last ``size`` depths.

    agree:  one predicted label throughout, and every gap above 2 ``margin`` (the authors' bias_1)
    trend:  one predicted label throughout, the first gap above 2 ``margin``, its probability never falls (bias_2)
    stable: agree, and its probability moves by at most ``range`` (bias_3)
    """

    name: ClassVar[str] = "window"
    reads: ClassVar[tuple[str, ...]] = ("confidence", "gap", "same")
    size: int
    rule: str
    margin: float
    range: float

    def fires(self, trace: Trace) -> Array:
        """Where the window is full and the rule holds in it."""
        # Cheapest first, and no further than needed: at most depths no row fulfils the rule.
        settled: Array = np.greater_equal(trace.depth, self.size)
        for holds in (self._has_gap, self._has_one_label, *self._extra_conditions):
            if not settled.any():
                break
            settled = settled & holds(trace)
        return settled

    @property
    def _extra_conditions(self) -> tuple[Callable[[Trace], Array], ...]:
        return {AGREE: (), TREND: (self._is_rising,), STABLE: (self._is_steady,)}[self.rule]

    def _has_gap(self, trace: Trace) -> Array:
        gap = trace.window("gap", self.size)
        looked_at = gap[:, :1] if self.rule == TREND else gap
        apart: Array = np.all(looked_at > 2 * self.margin, axis=-1)
        return apart

    def _has_one_label(self, trace: Trace) -> Array:
        # The first depth of the window has no predecessor in it.
        one: Array = (trace.window("same", self.size)[:, 1:] == 1).all(-1)
        return one

    def _is_rising(self, trace: Trace) -> Array:
        # With one label throughout, the probability of that label is the confidence.
        confidence = trace.window("confidence", self.size)
        never: Array = np.all(confidence[:, 1:] >= confidence[:, :-1], axis=-1)
        return never

    def _is_steady(self, trace: Trace) -> Array:
        confidence = trace.window("confidence", self.size)
        moves: Array = confidence.max(-1) - confidence.min(-1)
        return moves <= self.range


@dataclass(frozen=True)
class Window(Policy):
    """Entropy at the current depth, or a window rule over the last depths: the policy of the ELBERT paper."""

    name: ClassVar[str] = "window"
    entropy: float = dial(float, 0, 1, default=0.1)
    size: int = dial(int, 1, MAX_DEPTH, default=6)
    rule: str = field(default=AGREE, metadata={"choices": RULES})
    margin: float = dial(float, 0, 0.5, default=0.0)
    range: float = dial(float, 0, 1, default=0.05)

    def __post_init__(self) -> None:
        """Hold every dial to its range, and the rule to the three there are."""
        super().__post_init__()
        if self.rule not in RULES:
            raise PolicyError(f"rule={self.rule!r} in window: accepted is {describe_spec(Window)}")

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The two stages."""
        return (Entropy(self.entropy), WindowRule(self.size, self.rule, self.margin, self.range))

    def __str__(self) -> str:
        """The spec, with every dial named, because five bare numbers are unreadable."""
        return (
            f"window(entropy={self.entropy}, size={self.size}, rule={self.rule}, "
            f"margin={self.margin}, range={self.range})"
        )


MIN_TEMPERATURE, MAX_TEMPERATURE, MAX_TEMPERATURES = 0.05, 20.0, 64
TEMPERED_FORM = (
    f"tempered(policy, T1, T2, …) with 1 to {MAX_TEMPERATURES} temperatures from {MIN_TEMPERATURE:g} to "
    f"{MAX_TEMPERATURE:g}, the last of which holds for all deeper depths"
)


@dataclass(frozen=True)
class TemperedRule(Rule):
    """A rule on the trace with a temperature for each depth."""

    rule: Rule
    temperatures: tuple[float, ...]

    @property
    def reason(self) -> str:
        """That of the rule."""
        return self.rule.reason

    @cached_property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]  # an instance's, where other rules have the class's
        """What the rule reads."""
        return self.rule.reads

    def fires(self, trace: Trace) -> Array:
        """Where the rule holds of the tempered trace."""
        return self.rule.fires(trace.tempered(self.temperatures))


@dataclass(frozen=True)
class Tempered(Policy):
    """A policy whose exit head is calibrated depth by depth, so that one threshold means the same at every depth.

    It changes when rows exit; their predictions keep the head's own probabilities.
    """

    name: ClassVar[str] = "tempered"
    policy: Policy
    temperatures: tuple[float, ...]

    def __post_init__(self) -> None:
        """Hold the temperatures to their range."""
        numbers = all(isinstance(t, (int, float)) and not isinstance(t, bool) for t in self.temperatures)
        if not numbers or not 1 <= len(self.temperatures) <= MAX_TEMPERATURES:
            raise PolicyError(f"{len(self.temperatures)} temperatures in tempered: accepted is {TEMPERED_FORM}")
        wrong = [t for t in self.temperatures if not MIN_TEMPERATURE <= t <= MAX_TEMPERATURE]
        if wrong:
            raise PolicyError(f"temperature {wrong[0]!r} in tempered: accepted is {TEMPERED_FORM}")
        object.__setattr__(self, "temperatures", tuple(map(float, self.temperatures)))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The policy's, each with the temperatures."""
        return tuple(TemperedRule(rule, self.temperatures) for rule in self.policy.rules)

    def __str__(self) -> str:
        """The spec."""
        return f"tempered({self.policy}, {', '.join(map(str, self.temperatures))})"
