"""The task's own metrics, at one depth, or at the depth where a policy lets each text exit."""

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
    predicted = decode_predictions(answers, outputs)
    if outputs.multi_label:
        # Labels flattened: this is micro F1, and sklearn would read a matrix of one column as two classes.
        f1 = metrics.f1_score(labels.ravel(), predicted.ravel(), zero_division=0.0)
        return {"accuracy": float((predicted == labels).all(-1).mean()), "f1": float(f1)}
    average = "binary" if answers.shape[1] == 2 else "macro"
    return {
        "accuracy": float((predicted == labels).mean()),
        "f1": float(metrics.f1_score(labels, predicted, average=average, zero_division=0.0)),
        # A constant correlates with nothing: 0. sklearn answers 0 as well, but warns.
        "matthews": float(metrics.matthews_corrcoef(labels, predicted))
        if len(np.union1d(labels, predicted)) > 1
        else 0.0,
    }


def decode_predictions(answers: Floats, outputs: Outputs) -> NDArray[Any]:
    """Probabilities ``[..., n, classes]`` to classes ``[..., n]``, or 0/1 ``[..., n, classes]`` for multi-label."""
    return (answers > 0.5).astype(int) if outputs.multi_label else answers.argmax(-1)


def find_correct(outputs: Outputs) -> NDArray[np.bool_]:
    """``[n, depths]``: whether the prediction at each depth equals the label (all labels, for multi-label)."""
    predicted = decode_predictions(outputs.probabilities, outputs)
    if outputs.multi_label:
        return np.asarray((predicted == outputs.labels[:, None]).all(-1))
    return np.asarray(predicted == outputs.labels[:, None])


def calibration_error(answers: Floats, outputs: Outputs) -> float:
    """Expected calibration error over equal bins of the top probability (Guo et al. 2017); multi-label: per label."""
    predicted = decode_predictions(answers, outputs)
    if outputs.multi_label:
        confidence, correct = np.maximum(answers, 1 - answers).ravel(), (predicted == outputs.labels).ravel()
    else:
        confidence, correct = answers.max(-1), predicted == outputs.labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    errors = np.abs(np.bincount(bins, confidence, BINS) - np.bincount(bins, correct, BINS))
    return float(errors.sum() / max(count.sum(), 1))


def pearson(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Pearson's correlation; 0 if ``a`` or ``b`` is constant, where it is undefined."""
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
