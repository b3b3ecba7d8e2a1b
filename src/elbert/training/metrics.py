"""Metrics of training: the score of every depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elbert.exits import policy
from elbert.exits.policies import COMMON_SPECS
from elbert.exits.replay import Replay
from elbert.tasks import Task

COLLAPSE = (
    "every depth predicts one class for every text: the training has collapsed; "
    "lower --learning_rate or raise --warmup_steps"
)
DIVERGED = "lower --learning_rate, raise --warmup_steps, or clip gradients with --max_grad_norm 1"


def build_metrics(task: Task) -> Callable[[Any], dict[str, float]]:
    """Return transformers' ``compute_metrics``: each depth's score, their mean (``area``), the last (``accuracy``).

    ``area_error`` is the standard error of ``area``: how much it depends on which texts the validation data has.
    """

    def compute(prediction: Any) -> dict[str, float]:
        logits, labels = prediction.predictions, prediction.label_ids
        by_row = score_rows(logits, labels, task)
        scores = by_row.mean(0, dtype=np.float64)
        found = {f"depth_{m}": float(score) for m, score in enumerate(scores, 1)}
        exit_depth = find_exit_depth(logits, task)
        return (
            found
            | ({} if exit_depth is None else {"exit_depth": exit_depth})
            | {
                "area": float(scores.mean()),
                "area_error": float(by_row.mean(1, dtype=np.float64).std() / math.sqrt(len(by_row))),
                task.training_score: float(scores[-1]),
                "one_class": float(task.predicts_one_class(logits, labels)),
            }
        )

    return compute


def find_exit_depth(logits: NDArray[Any], task: Task) -> float | None:
    """Return the mean depth at which texts exit with the fastest of the usual policies; None for values and tags."""
    if task.per_token or task.content != "probabilities":
        return None
    if not np.isfinite(logits).all():
        return math.nan
    outputs = task.activate(torch.from_numpy(np.asarray(logits, np.float32))).numpy()
    replayed = Replay(outputs, multi_label=task.multi_label)
    return min(float(replayed.exits(policy(spec)).mean()) for spec in COMMON_SPECS["probabilities"])


def metric_names(task: Task, depths: int) -> list[str]:
    """Return the metrics that can choose the best checkpoint."""
    return ["area", task.training_score, "loss", *(f"depth_{m}" for m in range(1, depths + 1))]


def is_finite(metrics: Mapping[str, float]) -> bool:
    """Whether no metric is NaN or infinite."""
    return all(math.isfinite(value) for value in metrics.values() if isinstance(value, (int, float)))


def has_tolerance(chosen: str) -> bool:
    """Whether evaluations that differ by less than a standard error count as equal: for the mean over depths."""
    return chosen.removeprefix("eval_") == "area"


def is_as_good(metrics: Mapping[str, float], chosen: str, best: float) -> bool:
    """Whether an evaluation is as good as the best one before, as far as the validation data shows.

    Of the mean over depths, a difference within a standard error does not count: with few rows it would choose by
    chance (CLINC150, 50 validation rows: the first epoch looks best, and the last is 2 points better on other
    texts). A ``chosen`` metric other than ``area`` is compared as it is, by transformers.
    """
    return has_tolerance(chosen) and metrics["eval_area"] >= best - metrics["eval_area_error"]


def score_rows(logits: NDArray[Any], labels: NDArray[Any], task: Task) -> NDArray[Any]:
    """Return ``[rows, depths]`` from ``logits [n, depths, classes]``: right or not, or minus the squared error.

    All are NaN where a logit is NaN or infinite: a comparison would count it as a prediction, often a right one.
    """
    if not np.isfinite(logits).all():
        return np.full((1, logits.shape[-1 if task.per_token else 1]), np.nan)
    return task.score_depths(logits, labels)
