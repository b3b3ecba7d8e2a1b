"""Evaluation: the metrics of every depth and every policy, computed from saved outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert import _html
from elbert._display import plural
from elbert.errors import DataError
from elbert.evaluation.oracles import Oracle, compute_oracles, overthinking_rate
from elbert.evaluation.outputs import Outputs
from elbert.exits import Policy, check_policy
from elbert.tasks import TASKS


@dataclass(frozen=True)
class PolicyScore:
    """A policy on saved outputs: task metrics, mean depth, and the exits by depth and reason.

    ``metrics`` include the calibration error ``ece`` of the answers at their exits, where answers are probabilities.
    """

    policy: str
    metrics: Mapping[str, float]
    mean_depth: float
    layer_speedup: float
    depths: Mapping[int, int]  # number of texts that exit at each depth
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Report:
    """An evaluation. ``by_depth`` holds the metrics of every fixed depth, with the calibration error ``ece``."""

    n: int
    problem: str
    by_depth: list[Mapping[str, float]]
    policies: list[PolicyScore]
    oracles: list[Oracle]
    overthinking: float | None

    @property
    def score_name(self) -> str:
        """The metric that choices are made by."""
        return TASKS[self.problem].score_name

    def __repr__(self) -> str:
        """The number of texts, the score at full depth and the number of policies in one line."""
        full = f"{self.score_name} {self.by_depth[-1][self.score_name]:.4f} at full depth ({len(self.by_depth)})"
        return f"<Report: {plural(self.n, 'text')}, {full}, {plural(len(self.policies), 'policy', 'policies')}>"

    def _repr_html_(self) -> str:
        """The table that notebooks show: every policy, and every fixed depth."""
        depths = len(self.by_depth)
        rows = [
            *((p.policy, p.metrics[self.score_name], p.mean_depth, f"{p.layer_speedup:.2f}x") for p in self.policies),
            *(
                (f"depth {depth} for all texts", metrics[self.score_name], depth, f"{depths / depth:.2f}x")
                for depth, metrics in enumerate(self.by_depth, 1)
            ),
        ]
        return _html.table(
            ("policy", self.score_name, "mean depth", "layer speed-up"),
            rows,
            caption=f"evaluation, {plural(self.n, 'text')}",
            note="" if self.overthinking is None else f"overthinking: {self.overthinking:.1%} of the texts",
        )


def evaluate(outputs: Outputs, policies: Mapping[str, Policy]) -> Report:
    """Score every fixed depth and every policy; ``policies`` maps a name or spec to its policy.

    Raises:
        DataError: there are no texts.
    """
    if not len(outputs):
        raise DataError("no labelled texts to evaluate")
    is_graded = outputs.task.is_graded
    return Report(
        n=len(outputs),
        problem=outputs.problem,
        by_depth=[depth_metrics(outputs, depth) for depth in range(1, outputs.depths + 1)],
        policies=[score_policy(outputs, name, policy) for name, policy in policies.items()],
        oracles=compute_oracles(outputs) if is_graded else [],
        overthinking=overthinking_rate(outputs) if is_graded else None,
    )


def depth_metrics(outputs: Outputs, depth: int) -> dict[str, float]:
    """The metrics if every text exits at ``depth``; ``ece`` is the calibration error."""
    return measure_answers(outputs, outputs.probabilities[:, depth - 1])


def measure_answers(outputs: Outputs, answers: NDArray[Any]) -> dict[str, float]:
    """The metrics of one answer of each text, and their calibration error ``ece``, where answers are probabilities."""
    error = outputs.task.calibration_error(answers, outputs.labels)
    return outputs.task.measure(answers, outputs.labels) | ({} if error is None else {"ece": error})


def score_policy(outputs: Outputs, name: str, policy: Policy) -> PolicyScore:
    """Replay one policy and compute its metrics.

    Raises:
        PolicyError, InputError: the policy does not suit the model of these outputs.
    """
    check_policy(policy, outputs.depths, outputs.task.content, per_token=outputs.task.per_token)
    replayed = outputs.replay()
    depth, reasons = replayed.exits(policy).astype(int), replayed.reasons(policy)
    answers = outputs.probabilities[np.arange(len(outputs)), depth - 1]
    mean = float(depth.mean())
    return PolicyScore(
        policy=name,
        metrics=measure_answers(outputs, answers),
        mean_depth=mean,
        layer_speedup=outputs.depths / mean,
        depths=count_values(depth.tolist()),
        reasons=count_values(reasons),
    )


def count_values(values: Sequence[Any]) -> dict[Any, int]:
    """How often each value occurs, by value in sorted order."""
    return dict(sorted(Counter(values).items()))
