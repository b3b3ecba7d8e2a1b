"""A policy that sees probabilities at temperatures of their own per depth (Guo et al., ICML 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from elbert.errors import PolicyError
from elbert.exits.base import Policy, Rule
from elbert.exits.signals import Array
from elbert.exits.trace import Trace

COLDEST, HOTTEST, MOST = 0.05, 20.0, 64
FORM = (
    f"tempered(policy, T1, T2, …) with 1 to {MOST} temperatures from {COLDEST:g} to {HOTTEST:g}, "
    "the last of which holds for all deeper depths"
)


@dataclass(frozen=True)
class TemperedRule(Rule):
    """A rule that hears every depth at its own temperature."""

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

    It changes when rows leave; what they answer stays the head's own probabilities.
    """

    name: ClassVar[str] = "tempered"
    policy: Policy
    temperatures: tuple[float, ...]

    def __post_init__(self) -> None:
        """Hold the temperatures to their range."""
        numbers = all(isinstance(t, (int, float)) and not isinstance(t, bool) for t in self.temperatures)
        if not numbers or not 1 <= len(self.temperatures) <= MOST:
            raise PolicyError(f"{len(self.temperatures)} temperatures in tempered: accepted is {FORM}")
        wrong = [t for t in self.temperatures if not COLDEST <= t <= HOTTEST]
        if wrong:
            raise PolicyError(f"temperature {wrong[0]!r} in tempered: accepted is {FORM}")
        object.__setattr__(self, "temperatures", tuple(map(float, self.temperatures)))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The policy's, each with the temperatures."""
        return tuple(TemperedRule(rule, self.temperatures) for rule in self.policy.rules)

    def __str__(self) -> str:
        """The spec."""
        return f"tempered({self.policy}, {', '.join(map(str, self.temperatures))})"
