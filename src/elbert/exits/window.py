"""ELBERT's two-stage test: sure now (entropy), or settled over a window of depths (Xie et al. 2021, section 2.2).

The authors define the second stage for two classes, on the probability x of class 0. Here c is the top class and
g the gap of the two largest probabilities, which is the same at two classes (x > 1/2 + margin is g > 2 margin)
and means something at any number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from elbert.errors import PolicyError
from elbert.exits.base import Policy, Rule, dial, form
from elbert.exits.policies import DEEPEST, Entropy
from elbert.exits.signals import Array
from elbert.exits.trace import Trace

AGREE, TREND, STABLE = RULES = ("agree", "trend", "stable")


@dataclass(frozen=True)
class Settled(Rule):
    """The second stage alone, over the last ``size`` depths.

    agree:  one answer throughout, and every gap above 2 ``margin`` (the authors' bias_1)
    trend:  one answer throughout, the first gap above 2 ``margin``, its probability never falls (bias_2)
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
        # Cheapest first, and no further than needed: at most depths nobody is settled.
        settled: Array = np.greater_equal(trace.depth, self.size)
        for holds in (self._far_apart, self._one_answer, *self._more):
            if not settled.any():
                break
            settled = settled & holds(trace)
        return settled

    @property
    def _more(self) -> tuple[Callable[[Trace], Array], ...]:
        return {AGREE: (), TREND: (self._never_falls,), STABLE: (self._still,)}[self.rule]

    def _far_apart(self, trace: Trace) -> Array:
        gap = trace.window("gap", self.size)
        looked_at = gap[:, :1] if self.rule == TREND else gap
        apart: Array = np.all(looked_at > 2 * self.margin, axis=-1)
        return apart

    def _one_answer(self, trace: Trace) -> Array:
        # The first depth of the window has nothing before it to agree with.
        one: Array = (trace.window("same", self.size)[:, 1:] == 1).all(-1)
        return one

    def _never_falls(self, trace: Trace) -> Array:
        # Under one answer throughout, the probability of that answer is the confidence.
        confidence = trace.window("confidence", self.size)
        never: Array = np.all(confidence[:, 1:] >= confidence[:, :-1], axis=-1)
        return never

    def _still(self, trace: Trace) -> Array:
        confidence = trace.window("confidence", self.size)
        moves: Array = confidence.max(-1) - confidence.min(-1)
        return moves <= self.range


@dataclass(frozen=True)
class Window(Policy):
    """Entropy now, or settled over a window: the policy this package is named after."""

    name: ClassVar[str] = "window"
    entropy: float = dial(float, 0, 1, default=0.1)
    size: int = dial(int, 1, DEEPEST, default=6)
    rule: str = field(default=AGREE, metadata={"choices": RULES})
    margin: float = dial(float, 0, 0.5, default=0.0)
    range: float = dial(float, 0, 1, default=0.05)

    def __post_init__(self) -> None:
        """Hold every dial to its range, and the rule to the three there are."""
        super().__post_init__()
        if self.rule not in RULES:
            raise PolicyError(f"rule={self.rule!r} in window: accepted is {form(Window)}")

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The two stages."""
        return (Entropy(self.entropy), Settled(self.size, self.rule, self.margin, self.range))

    def __str__(self) -> str:
        """Every dial by its name: five numbers in a row say nothing."""
        return (
            f"window(entropy={self.entropy}, size={self.size}, rule={self.rule}, "
            f"margin={self.margin}, range={self.range})"
        )
