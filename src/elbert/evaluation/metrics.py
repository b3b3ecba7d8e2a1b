"""The task's own metrics, at full depth, at every depth, or wherever a policy lets each text leave."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert._optional import require
from elbert.evaluation.outputs import Floats, Outputs

BINS = 15


def task_metrics(answers: Floats, outputs: Outputs) -> dict[str, float]:
    """Metrics of ``answers [n, classes]`` against the labels of ``outputs``.

    Classes: accuracy, F1 (of the second class at two classes, else macro), Matthews. Multi-label: all labels right,
    and micro F1. Regression: Pearson correlation, mean squared error.
    """
    labels = outputs.labels
    if outputs.problem == "regression":
        return {"pearson": pearson(answers[:, 0], labels), "mse": float(np.mean((answers[:, 0] - labels) ** 2))}
    metrics = require("sklearn.metrics", "train")
    said = decided(answers, outputs)
    if outputs.multi_label:
        # Label by label on one heap, which is micro F1; a matrix of one column sklearn takes for two classes.
        f1 = metrics.f1_score(labels.ravel(), said.ravel(), zero_division=0.0)
        return {"accuracy": float((said == labels).all(-1).mean()), "f1": float(f1)}
    average = "binary" if answers.shape[1] == 2 else "macro"
    return {
        "accuracy": float((said == labels).mean()),
        "f1": float(metrics.f1_score(labels, said, average=average, zero_division=0.0)),
        # One class throughout correlates with nothing; sklearn says so too, and warns.
        "matthews": float(metrics.matthews_corrcoef(labels, said)) if len(np.union1d(labels, said)) > 1 else 0.0,
    }


def decided(answers: Floats, outputs: Outputs) -> NDArray[Any]:
    """What probabilities say: the class ``[..., n]``, or for multi-label 0/1 ``[..., n, classes]``."""
    return (answers > 0.5).astype(int) if outputs.multi_label else answers.argmax(-1)


def right(outputs: Outputs) -> NDArray[np.bool_]:
    """``[n, depths]``: whether the answer of each depth is the label (all of them, for multi-label)."""
    said = decided(outputs.probabilities, outputs)
    if outputs.multi_label:
        return np.asarray((said == outputs.labels[:, None]).all(-1))
    return np.asarray(said == outputs.labels[:, None])


def calibration_error(answers: Floats, outputs: Outputs) -> float:
    """Expected calibration error over equal bins of the top probability (Guo et al. 2017); multi-label: per label."""
    said = decided(answers, outputs)
    if outputs.multi_label:
        sure, correct = np.maximum(answers, 1 - answers).ravel(), (said == outputs.labels).ravel()
    else:
        sure, correct = answers.max(-1), said == outputs.labels
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    apart = np.abs(np.bincount(bins, sure, BINS) - np.bincount(bins, correct, BINS))
    return float(apart.sum() / max(count.sum(), 1))


def pearson(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Correlation; 0 where one side does not vary."""
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
