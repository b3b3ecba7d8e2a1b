"""What training tells while it runs: its loss, and every depth's score and weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from elbert.training.objective import ExitObjective

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
