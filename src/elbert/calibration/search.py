"""Calibrate: search for the operating point that meets a goal, on one part of the data, and measure it on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elbert.bundle import Certificate, OperatingPoint
from elbert.calibration.certify import Loss, certify, check_enough, sequence
from elbert.errors import InputError
from elbert.evaluation import Outputs
from elbert.evaluation.statistics import Interval, mean_interval
from elbert.evaluation.sweep import Trials, families, tempered
from elbert.evaluation.temperature import fitted_temperatures
from elbert.exits import Full, Policy


def most_accurate(tuning: Trials, candidates: Sequence[Policy], speedup: float) -> Policy:
    """The most accurate policy of at least that layer speed-up.

    Raises:
        InputError: none is that fast.
    """
    swept = tuning.sweep(candidates)
    found = swept.at(speedup)
    if found is None:
        raise InputError(f"no policy of these families reaches a layer speed-up of {speedup:g}; name more families")
    return swept.policies[found]


def fastest(tuning: Trials, candidates: Sequence[Policy], points: float) -> Policy:
    """The fastest policy that loses at most so many points of accuracy against full depth."""
    swept = tuning.sweep(candidates)
    return swept.policies[swept.within(float(tuning.right[:, -1].mean()) - points / 100)]


def figures(trials: Trials, policy: Policy, *, labelled: bool = True) -> dict[str, Any]:
    """What a policy is worth on some outputs, with 95 % confidence intervals (bootstrap, paired for the loss).

    Without labels the last depth's answers stand for them, and accuracy is called agreement.
    """
    depth, correct, full = trials.depth(policy), trials.correct(policy), trials.right[:, -1]
    lost = mean_interval(full.astype(int) - correct.astype(int))
    counts = np.bincount(depth, minlength=trials.outputs.depths + 1)[1:]
    answers = (
        {"accuracy": _share(correct), "accuracy_full": _share(full)} if labelled else {"agreement": _share(correct)}
    )
    return {
        "n": len(trials.outputs),
        **answers,
        "points_lost": _told(lost, 100, 2),
        "mean_depth": round(float(depth.mean()), 3),
        "layer_speedup": round(trials.outputs.depths / float(depth.mean()), 3),
        "depths": {str(d): int(count) for d, count in enumerate(counts, 1) if count},
    }


def _share(correct: Any) -> float:
    return round(float(correct.mean()), 4)


def _told(interval: Interval, scale: float, digits: int) -> dict[str, float]:
    values = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {name: round(value * scale, digits) for name, value in values.items()} | {"confidence": interval.confidence}


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
