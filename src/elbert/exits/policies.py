"""The rivals' policies, each a rule of a few lines; the window has a file of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from elbert.exits.base import Policy, Rule, dial
from elbert.exits.signals import Array
from elbert.exits.trace import Trace

DEEPEST = 1000  # no ALBERT is deeper; keeps a stranger's spec from asking for a window of a billion depths


@dataclass(frozen=True)
class Full(Policy):
    """Never leave early."""

    name: ClassVar[str] = "full"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """None."""
        return ()


@dataclass(frozen=True)
class Depth(Rule):
    """Leave at a fixed depth: the shallower model, the honest baseline."""

    name: ClassVar[str] = "depth"
    depth: int = dial(int, 1, DEEPEST)

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
        """Where the head is sure now."""
        return trace.now("entropy") < self.threshold


@dataclass(frozen=True)
class Confidence(Rule):
    """The largest probability reaches a threshold (Schwartz et al., ACL 2020)."""

    name: ClassVar[str] = "confidence"
    reads: ClassVar[tuple[str, ...]] = ("confidence",)
    threshold: float = dial(float, 0, 1)

    def fires(self, trace: Trace) -> Array:
        """Where the top class is probable enough now."""
        return trace.now("confidence") >= self.threshold


@dataclass(frozen=True)
class Gap(Rule):
    """The two largest probabilities are a threshold apart (CALM, NeurIPS 2022)."""

    name: ClassVar[str] = "gap"
    reads: ClassVar[tuple[str, ...]] = ("gap",)
    threshold: float = dial(float, 0, 1)

    def fires(self, trace: Trace) -> Array:
        """Where the runner-up is far enough behind now."""
        return trace.now("gap") >= self.threshold


@dataclass(frozen=True)
class Patience(Rule):
    """The answer has stayed the same ``times`` times in a row (PABEE, NeurIPS 2020)."""

    name: ClassVar[str] = "patience"
    reads: ClassVar[tuple[str, ...]] = ("same",)
    times: int = dial(int, 0, DEEPEST)

    def fires(self, trace: Trace) -> Array:
        """Where the last ``times + 1`` answers are one."""
        if self.times == 0:
            return trace.depth >= 1
        patient: Array = (trace.window("same", self.times) == 1).all(-1)
        return (trace.depth > self.times) & patient


@dataclass(frozen=True)
class PatientConfidence(Rule):
    """Entropy below a threshold ``times`` depths in a row (PCEE-BERT, NAACL Findings 2022)."""

    name: ClassVar[str] = "patient_confidence"
    reads: ClassVar[tuple[str, ...]] = ("entropy",)
    times: int = dial(int, 1, DEEPEST)
    threshold: float = dial(float, 0, 1)

    def fires(self, trace: Trace) -> Array:
        """Where the head has been sure for a while."""
        return (trace.depth >= self.times) & (trace.window("entropy", self.times) < self.threshold).all(-1)


@dataclass(frozen=True)
class Divergence(Rule):
    """Distributions of neighbouring depths this close ``times`` steps in a row (F-PABEE, ICASSP 2023)."""

    name: ClassVar[str] = "divergence"
    reads: ClassVar[tuple[str, ...]] = ("divergence",)
    times: int = dial(int, 1, DEEPEST)
    threshold: float = dial(float, 0, math.log(2))

    def fires(self, trace: Trace) -> Array:
        """Where nothing much has moved for a while."""
        return (trace.depth > self.times) & (trace.window("divergence", self.times) < self.threshold).all(-1)
