"""Calibrate: choose the operating point for a goal on one part of the data, and measure it on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elbert._display import plural
from elbert.bundle import Certificate, OperatingPoint, describe_tolerance
from elbert.calibration.certify import AnyTrials, Loss, certify, check_enough, name_long, order_candidates
from elbert.errors import InputError
from elbert.evaluation import Outputs
from elbert.evaluation.document_outputs import DocumentOutputs, make_trials
from elbert.evaluation.statistics import Interval
from elbert.evaluation.sweep import build_families, temper_policies
from elbert.evaluation.temperature import fit_temperatures
from elbert.exits import FULL, Policy


@dataclass(frozen=True)
class MinSpeedup:
    """The most accurate policy with at least this layer speed-up."""

    speedup: float

    def check_depths(self, depths: int) -> MinSpeedup:
        """Return this goal if a model of so many depths can reach it.

        Raises:
            InputError: the speed-up is below 1 or above the number of depths.
        """
        if not 1 <= self.speedup <= depths:
            raise InputError(
                f"a layer speed-up of {self.speedup:g}: this model has {plural(depths, 'depth')}, so 1 to {depths}"
            )
        return self

    def __str__(self) -> str:
        return f"the most accurate policy with a layer speed-up of at least {self.speedup:g}"


@dataclass(frozen=True)
class MaxDrop:
    """The fastest policy that loses at most ``points`` points of accuracy, on the tuning part."""

    points: float

    def __post_init__(self) -> None:
        if not 0 <= self.points <= 100:
            raise InputError(f"the maximum loss is {self.points:g} points, expected 0 to 100")

    def __str__(self) -> str:
        return f"the fastest policy that loses at most {self.points:g} points"


@dataclass(frozen=True)
class CertifiedRisk:
    """The fastest policy whose risk is at most ``risk`` with probability 1 - ``error``."""

    risk: float
    error: float
    loss: Loss
    tolerance: float | None = None  # of values: what counts as another prediction

    def __str__(self) -> str:
        return (
            f"the fastest policy whose risk of {self.loss}{describe_tolerance(self.tolerance)} is certified as "
            f"at most {self.risk:g} with error {self.error:g}"
        )


Goal = MinSpeedup | MaxDrop | CertifiedRisk


def calibrate(
    goal: Goal,
    tuning: Outputs | DocumentOutputs | None,
    parts: Mapping[str, Outputs | DocumentOutputs],
    *,
    family_names: Sequence[str] | None = None,
    policies: Sequence[Policy] | None = None,
    temperature: bool = False,
    labelled: bool = True,
) -> OperatingPoint:
    """Return the operating point for a goal: chosen on ``tuning``, measured on ``parts``, which are independent of it.

    ``parts`` are outputs of the same texts by precision: measurements are of the first, a certificate covers all. The
    families of ``family_names`` (default: all) are searched, or only ``policies``. Their order is fixed by the caller,
    so a certificate needs no tuning part for them: they are tested in that order. Outputs of windows measure texts in
    windows: policies are those of the windows, and texts are compared with all their windows at full depth.

    Raises:
        InputError: the goal cannot be met, or there are too few texts to certify it.
        MissingExtra: scipy is not installed.
    """
    measured_on = {dtype: make_trials(part) for dtype, part in parts.items()}
    first, *others = measured_on
    if isinstance(goal, CertifiedRisk):
        check_enough(len(parts[first]), goal.risk, goal.error)
    if isinstance(goal, MinSpeedup):
        goal.check_depths(parts[first].depths)
    policy, certificate = choose_policy(goal, tuning, list(measured_on.values()), family_names, policies, temperature)
    long = name_long(measured_on[first])
    measured: dict[str, Any] = {"goal": str(goal) + ("" if long is None else f", long texts read as {long}")}
    measured |= measure_policy(measured_on[first], policy, labelled=labelled)
    if tuning is not None:
        measured["chosen_on"] = measure_policy(make_trials(tuning), policy, labelled=labelled)
    if others:
        measured["other_dtypes"] = {d: measure_policy(measured_on[d], policy, labelled=labelled) for d in others}
    return OperatingPoint(policy, measured, certificate)


def choose_policy(
    goal: Goal,
    tuning: Outputs | DocumentOutputs | None,
    measured_on: Sequence[AnyTrials],
    family_names: Sequence[str] | None,
    policies: Sequence[Policy] | None,
    temperature: bool,
) -> tuple[Policy, Certificate | None]:
    """Return the policy for a goal, and its certificate if the goal is a certified risk.

    Raises:
        InputError: there is no tuning part to choose a policy on.
    """
    if tuning is None:
        if not isinstance(goal, CertifiedRisk) or policies is None:
            raise InputError("a policy must be chosen on texts that do not measure it: give a tuning part")
        found = certify([FULL, *policies], measured_on, goal.loss, goal.risk, goal.error, goal.tolerance)
        return found.policy, found.certificate
    candidates = build_candidates(tuning, family_names, temperature) if policies is None else [FULL, *policies]
    trials = make_trials(tuning)
    match goal:
        case MinSpeedup(speedup):
            return find_most_accurate(trials, candidates, speedup), None
        case MaxDrop(points):
            return find_fastest(trials, candidates, points), None
        case CertifiedRisk(risk, error, loss, tolerance):
            ordered = order_candidates(trials, candidates, loss, tolerance)
            found = certify(ordered, measured_on, loss, risk, error, tolerance)
            return found.policy, found.certificate


def build_candidates(
    tuning: Outputs | DocumentOutputs, family_names: Sequence[str] | None, temperature: bool
) -> list[Policy]:
    """Return the policies of the families; with ``temperature``, at temperatures fitted on the tuning part."""
    families = build_families(tuning.depths, family_names, tuning.task.content)
    found = [policy for policies in families.values() for policy in policies]
    if not temperature:
        return found
    rows = tuning.rows if isinstance(tuning, DocumentOutputs) else tuning
    return temper_policies(found, fit_temperatures(rows))


def find_most_accurate(tuning: AnyTrials, candidates: Sequence[Policy], speedup: float) -> Policy:
    """Return the policy of the best score with at least this layer speed-up.

    Raises:
        InputError: no policy is that fast.
    """
    swept = tuning.sweep(candidates)
    found = swept.at(speedup)
    if found is None:
        raise InputError(f"no policy of these families reaches a layer speed-up of {speedup:g}; name more families")
    return swept.policies[found]


def find_fastest(tuning: AnyTrials, candidates: Sequence[Policy], points: float) -> Policy:
    """Return the fastest policy whose score is at most ``points`` points (hundredths) below that of full depth."""
    swept = tuning.sweep(candidates)
    return swept.policies[swept.within(tuning.full_score - points / 100)]


def measure_policy(trials: AnyTrials, policy: Policy, *, labelled: bool = True) -> dict[str, Any]:
    """Return score and cost of a policy on some outputs; the lost points with a 95 % interval (paired bootstrap).

    Without labels the last depth's predictions replace them, and the score is called agreement.
    """
    mean, name = trials.mean_depth(policy), trials.outputs.task.score_name
    score, full = round(trials.score(policy), 4), round(trials.full_score, 4)
    lost, _ = trials.compare_to_full(policy)
    answers = {name: score, f"{name}_full": full} if labelled else {"agreement": score}
    return {
        "n": len(trials.outputs),
        **answers,
        "points_lost": _round_interval(lost, 100, 2),
        "mean_depth": round(mean, 3),
        "layer_speedup": round(trials.outputs.depths / mean, 3),
        **trials.count_exits(policy),
    }


def _round_interval(interval: Interval, scale: float, digits: int) -> dict[str, float]:
    values = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {name: round(value * scale, digits) for name, value in values.items()} | {"confidence": interval.confidence}
