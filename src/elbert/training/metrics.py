"""Metrics of training: the score of every depth, and a report of scores, losses and weights."""
# ruff: noqa: E402

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from elbert._optional import require

require("transformers", "train")  # before the imports below, so that the error names the remedy

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from elbert.tasks import Task
from elbert.training.objective import ExitObjective

DEPTHS_PER_LINE = 12  # fits 80 characters
COLLAPSE = (
    "every depth predicts one class for every text: the training has collapsed; "
    "lower --learning_rate or raise --warmup_steps"
)
DIVERGED = "lower --learning_rate, raise --warmup_steps, or clip gradients with --max_grad_norm 1"


def build_metrics(task: Task) -> Callable[[Any], dict[str, float]]:
    """Return transformers' ``compute_metrics``: each depth's score, their mean (``area``), the last (``accuracy``)."""

    def compute(prediction: Any) -> dict[str, float]:
        logits, labels = prediction.predictions, prediction.label_ids
        scores = score_depths(logits, labels, task)
        found = {f"depth_{m}": float(score) for m, score in enumerate(scores, 1)}
        return found | {
            "area": float(scores.mean()),
            task.training_score: float(scores[-1]),
            "one_class": float(task.predicts_one_class(logits, labels)),
        }

    return compute


def metric_names(task: Task, depths: int) -> list[str]:
    """Return the metrics that can choose the best checkpoint."""
    return ["area", task.training_score, "loss", *(f"depth_{m}" for m in range(1, depths + 1))]


def is_finite(metrics: Mapping[str, float]) -> bool:
    """Whether no metric is NaN or infinite."""
    return all(math.isfinite(value) for value in metrics.values() if isinstance(value, (int, float)))


def score_depths(logits: NDArray[Any], labels: NDArray[Any], task: Task) -> NDArray[np.float64]:
    """Return ``[depths]`` from ``logits [n, depths, classes]``: accuracy (per label), or minus the squared error.

    All are NaN where a logit is NaN or infinite: a comparison would count it as a prediction, often a right one.
    """
    if not np.isfinite(logits).all():
        return np.full(logits.shape[1], np.nan)
    scores: NDArray[np.float64] = task.score_depths(logits, labels).mean(0, dtype=np.float64)
    return scores


class DepthReport(TrainerCallback):
    """Prints the loss as it is logged, scores and weights after each evaluation, and warnings.

    Training ends when it has diverged: a weight that is NaN stays NaN. The checkpoint of that step is not saved.
    """

    def __init__(self, objective: ExitObjective, console: Console) -> None:
        self.objective = objective
        self.console = console
        self.has_stopped = False

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Print the loss; called by transformers."""
        logs: dict[str, float] = kwargs["logs"]
        if "loss" not in logs:
            return
        loss = float(logs["loss"])
        if state.is_world_process_zero:
            self._print(f"step {state.global_step} of {state.max_steps}: loss {loss:.4f}")
        # In fp16 single losses overflow, and such a step changes no weight.
        if not math.isfinite(loss) and not args.fp16:
            self._stop(f"the loss is {loss}", state, control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Print scores and weights; called by transformers."""
        metrics: dict[str, float] = kwargs["metrics"]
        if not is_finite(metrics):
            self._stop("the outputs for the validation file are NaN or infinite", state, control)
        if not state.is_world_process_zero or "eval_area" not in metrics:
            return
        weights = self.objective.weights().tolist()
        scores = [metrics[f"eval_depth_{depth}"] for depth in range(1, len(weights) + 1)]
        self._print(f"epoch {state.epoch or 0:.2f}, step {state.global_step}: area {metrics['eval_area']:.4f}")
        for line in format_depths(scores, weights):
            self._print(line)
        if metrics.get("eval_one_class"):
            self._print(f"warning: {COLLAPSE}")

    def _stop(self, why: str, state: TrainerState, control: TrainerControl) -> None:
        control.should_training_stop, control.should_save = True, False
        if state.is_world_process_zero and not self.has_stopped:
            self._print(
                f"warning: training diverged in epoch {math.ceil(state.epoch or 0)}, by step {state.global_step}: "
                f"{why}, and training stops; {DIVERGED}"
            )
        self.has_stopped = True

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def format_depths(scores: Sequence[float], weights: Sequence[float]) -> Iterator[str]:
    """Yield lines with depths, scores and weights in columns."""
    for first in range(0, len(scores), DEPTHS_PER_LINE):
        part = range(first, min(first + DEPTHS_PER_LINE, len(scores)))
        yield "depth  " + " ".join(f"{m + 1:>5}" for m in part)
        yield "score  " + " ".join(f"{scores[m]:>5.3f}" for m in part)
        yield "weight " + " ".join(f"{weights[m]:>5.2f}" for m in part)
