"""Calibrate: what was asked for, answered with an operating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elbert.bundle import Certificate, OperatingPoint
from elbert.calibration.certify import certify, sequence
from elbert.calibration.choose import fastest, figures, most_accurate
from elbert.calibration.risk import Loss, check_enough
from elbert.errors import InputError
from elbert.evaluation import Outputs
from elbert.evaluation.families import families, tempered
from elbert.evaluation.sweep import Trials
from elbert.evaluation.temperature import fitted_temperatures
from elbert.exits import Full, Policy


@dataclass(frozen=True)
class Faster:
    """The most accurate policy with at least this layer speed-up."""

    speedup: float

    def possible(self, depths: int) -> Faster:
        """Itself, if a model of so many depths can be that fast.

        Raises:
            InputError: it cannot.
        """
        if not 1 <= self.speedup <= depths:
            raise InputError(f"a layer speed-up of {self.speedup:g}: this model has {depths} depths, so 1 to {depths}")
        return self

    def __str__(self) -> str:
        return f"the most accurate policy with a layer speed-up of at least {self.speedup:g}"


@dataclass(frozen=True)
class AsGood:
    """The fastest policy that loses at most so many points of accuracy."""

    points: float

    def __post_init__(self) -> None:
        if not 0 <= self.points <= 100:
            raise InputError(f"the most that may be lost is {self.points:g} points, expected 0 to 100")

    def __str__(self) -> str:
        return f"the fastest policy that loses at most {self.points:g} points"


@dataclass(frozen=True)
class Promised:
    """The fastest policy whose risk is at most ``risk``, but for a chance of ``error``."""

    risk: float
    error: float
    loss: Loss

    def __str__(self) -> str:
        return f"the fastest policy certified for a {self.loss} of at most {self.risk:g} with error {self.error:g}"


Wish = Faster | AsGood | Promised


def calibrate(
    wish: Wish,
    tuning: Outputs | None,
    parts: Mapping[str, Outputs],
    *,
    named: Sequence[str] | None = None,
    policies: Sequence[Policy] | None = None,
    temperature: bool = False,
    labelled: bool = True,
) -> OperatingPoint:
    """The operating point for a wish: chosen on ``tuning``, measured on ``parts``, which chose nothing.

    ``parts`` are outputs of the same texts by precision, the first of which is the one that figures are told of. A
    certificate holds in each of them. ``named`` families of policies are searched, or all, or only ``policies``;
    those were fixed beforehand, so a promise needs no tuning part to order them: they are tested as they stand.

    Raises:
        InputError: the wish cannot be granted, or not with so few texts.
    """
    measured_on = {dtype: Trials(part) for dtype, part in parts.items()}
    first, *others = measured_on
    if isinstance(wish, Promised):
        check_enough(len(parts[first]), wish.risk, wish.error)
    if isinstance(wish, Faster):
        wish.possible(parts[first].depths)
    policy, certificate = granted(wish, tuning, list(measured_on.values()), named, policies, temperature)
    measured: dict[str, Any] = {"asked": str(wish), **figures(measured_on[first], policy, labelled=labelled)}
    if tuning is not None:
        measured["chosen_on"] = figures(Trials(tuning), policy, labelled=labelled)
    if others:
        measured["other_dtypes"] = {d: figures(measured_on[d], policy, labelled=labelled) for d in others}
    return OperatingPoint(policy, measured, certificate)


def granted(
    wish: Wish,
    tuning: Outputs | None,
    measured_on: Sequence[Trials],
    named: Sequence[str] | None,
    policies: Sequence[Policy] | None,
    temperature: bool,
) -> tuple[Policy, Certificate | None]:
    """The policy, and its certificate where one was asked for.

    Raises:
        InputError: a policy must be chosen, and there is nothing to choose it on.
    """
    if tuning is None:
        if not isinstance(wish, Promised) or policies is None:
            raise InputError("a policy must be chosen on texts that do not measure it: give a tuning part")
        found = certify([Full(), *policies], measured_on, wish.loss, wish.risk, wish.error)
        return found.policy, found.certificate
    candidates = candidates_for(tuning, named, temperature) if policies is None else [Full(), *policies]
    trials = Trials(tuning)
    match wish:
        case Faster(speedup):
            return most_accurate(trials, candidates, speedup), None
        case AsGood(points):
            return fastest(trials, candidates, points), None
        case Promised(risk, error, loss):
            found = certify(sequence(trials, candidates, loss), measured_on, loss, risk, error)
            return found.policy, found.certificate


def candidates_for(tuning: Outputs, named: Sequence[str] | None, temperature: bool) -> list[Policy]:
    """The policies of the families, at temperatures fitted on the tuning part where they are asked for."""
    found = [policy for policies in families(tuning.depths, named).values() for policy in policies]
    return tempered(found, fitted_temperatures(tuning)) if temperature else found
