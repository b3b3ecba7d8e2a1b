"""Scores of every depth during training, and the area under them that picks the best checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.model.config import Problem


def depth_scores(logits: NDArray[Any], labels: NDArray[Any], problem: Problem) -> NDArray[np.float64]:
    """``[depths]`` from ``logits [n, depths, classes]``: accuracy; per-label accuracy; or minus the squared error."""
    if problem == "regression":
        points = -((logits - labels.reshape(len(logits), 1, -1)) ** 2).mean(2)
    elif problem == "multi_label_classification":
        points = ((logits > 0) == (labels[:, None] > 0.5)).mean(2)
    else:
        points = logits.argmax(-1) == labels[:, None]
    scores: NDArray[np.float64] = points.mean(0, dtype=np.float64)
    return scores


def metrics_for(problem: Problem) -> Callable[[Any], dict[str, float]]:
    """transformers' ``compute_metrics``: every depth's score, their mean (``area``), the last one's (``accuracy``)."""

    def compute(prediction: Any) -> dict[str, float]:
        logits, labels = prediction.predictions, prediction.label_ids
        scores = depth_scores(logits, labels, problem)
        found = {f"depth_{m}": float(score) for m, score in enumerate(scores, 1)}
        # A regression answers at full depth only, so only that depth may choose the checkpoint.
        area = scores[-1] if problem == "regression" else scores.mean()
        last = "accuracy" if problem != "regression" else "minus_mse"
        return found | {
            "area": float(area),
            last: float(scores[-1]),
            "one_class": float(one_class(logits, labels, problem)),
        }

    return compute


def one_class(logits: NDArray[Any], labels: NDArray[Any], problem: Problem) -> bool:
    """Whether every depth says the same for every text, though the labels differ: a collapse."""
    if problem != "single_label_classification" or (labels == labels[0]).all():
        return False
    said = logits.argmax(-1)
    return bool((said == said[0, 0]).all())
