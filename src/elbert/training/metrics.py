"""What training reports: the score, loss and weight of every depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from elbert.model.config import Problem
from elbert.training.objective import ExitObjective


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


COLUMNS = 12  # depths a line: fits 80 characters
COLLAPSE = (
    "every depth predicts one class for every text: the training has collapsed; "
    "lower --learning_rate or raise --warmup_steps"
)


class DepthReport(TrainerCallback):
    """Prints the loss as it is logged, each depth's score and weight after each evaluation, and warns of a collapse."""

    def __init__(self, objective: ExitObjective, console: Console) -> None:
        self.objective = objective
        self.console = console

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """transformers' hook."""
        logs: dict[str, float] = kwargs["logs"]
        if state.is_world_process_zero and "loss" in logs:
            self._tell(f"step {state.global_step} of {state.max_steps}: loss {float(logs['loss']):.4f}")

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """transformers' hook."""
        metrics: dict[str, float] = kwargs["metrics"]
        if not state.is_world_process_zero or "eval_area" not in metrics:
            return
        weights = self.objective.weights().tolist()
        scores = [metrics[f"eval_depth_{depth}"] for depth in range(1, len(weights) + 1)]
        self._tell(f"epoch {state.epoch or 0:.2f}, step {state.global_step}: area {metrics['eval_area']:.4f}")
        for line in depth_lines(scores, weights):
            self._tell(line)
        if metrics.get("eval_one_class"):
            self._tell(f"warning: {COLLAPSE}")

    def _tell(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def depth_lines(scores: Sequence[float], weights: Sequence[float]) -> Iterator[str]:
    """Depths, scores and weights in columns, a dozen a line."""
    for first in range(0, len(scores), COLUMNS):
        part = range(first, min(first + COLUMNS, len(scores)))
        yield "depth  " + " ".join(f"{m + 1:>5}" for m in part)
        yield "score  " + " ".join(f"{scores[m]:>5.3f}" for m in part)
        yield "weight " + " ".join(f"{weights[m]:>5.2f}" for m in part)
