"""Evaluation: what every depth and every policy is worth, from one pass at full depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elbert.errors import DataError
from elbert.evaluation.metrics import calibration_error, task_metrics
from elbert.evaluation.oracles import Oracle, oracles, overthinking
from elbert.evaluation.outputs import Outputs
from elbert.exits import Policy, fitting, replay_exits


@dataclass(frozen=True)
class PolicyScore:
    """A policy on saved outputs: task metrics, cost in depths, and how the texts left."""

    policy: str
    metrics: Mapping[str, float]
    mean_depth: float
    layer_speedup: float
    depths: Mapping[int, int]  # how many texts left at each depth
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Report:
    """An evaluation: ``by_depth`` is every ``depth(k)``, the fixed shallower models, with their calibration error."""

    n: int
    problem: str
    by_depth: list[Mapping[str, float]]
    policies: list[PolicyScore]
    oracles: list[Oracle]
    overthinking: float | None


def evaluate(outputs: Outputs, policies: Mapping[str, Policy]) -> Report:
    """Score every depth, and every policy by its name or spec.

    Raises:
        DataError: there is nothing to evaluate.
    """
    if not len(outputs):
        raise DataError("no labelled texts to evaluate")
    exits_mean_something = outputs.problem != "regression"
    return Report(
        n=len(outputs),
        problem=outputs.problem,
        by_depth=[depth_metrics(outputs, depth) for depth in range(1, outputs.depths + 1)],
        policies=[score(outputs, name, policy) for name, policy in policies.items()],
        oracles=oracles(outputs) if exits_mean_something else [],
        overthinking=overthinking(outputs) if exits_mean_something else None,
    )


def depth_metrics(outputs: Outputs, depth: int) -> dict[str, float]:
    """The metrics of stopping every text at one depth."""
    answers = outputs.probabilities[:, depth - 1]
    metrics = task_metrics(answers, outputs)
    if outputs.problem != "regression":
        metrics["ece"] = calibration_error(answers, outputs)
    return metrics


def score(outputs: Outputs, name: str, policy: Policy) -> PolicyScore:
    """Replay one policy.

    Raises:
        PolicyError, InputError: the model of these outputs could not follow it.
    """
    fitting(policy, outputs.depths, regression=outputs.problem == "regression")
    depth, reasons = replay_exits(outputs.probabilities, policy, multi_label=outputs.multi_label)
    answers = outputs.probabilities[np.arange(len(outputs)), depth - 1]
    mean = float(depth.mean())
    return PolicyScore(
        policy=name,
        metrics=task_metrics(answers, outputs),
        mean_depth=mean,
        layer_speedup=outputs.depths / mean,
        depths=counted(depth.tolist()),
        reasons=counted(reasons),
    )


def counted(values: Sequence[Any]) -> dict[Any, int]:
    """How often each value is there, in order."""
    return dict(sorted(Counter(values).items()))
