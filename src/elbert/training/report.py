"""What training tells while it runs: every depth's accuracy and weight."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from transformers import TrainerCallback

from elbert.training.objective import ExitObjective

COLLAPSE = (
    "every depth predicts one class for every text: the training has collapsed; "
    "lower --learning_rate or raise --warmup_steps"
)


class DepthReport(TrainerCallback):  # type: ignore[misc]
    """Prints the score and the weight of every depth after each evaluation, and warns of a collapse."""

    def __init__(self, objective: ExitObjective, console: Console) -> None:
        self.objective = objective
        self.console = console

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:  # noqa: ANN401
        """transformers' hook."""
        if not state.is_world_process_zero or "eval_area" not in metrics:
            return
        title = f"epoch {state.epoch or 0:.2f}, step {state.global_step}, area {metrics['eval_area']:.4f}"
        table = Table("depth", title=title, title_justify="left")
        scores, weights = ["score"], ["weight"]
        for depth, weight in enumerate(self.objective.weights().tolist(), 1):
            table.add_column(str(depth), justify="right")
            scores.append(f"{metrics[f'eval_depth_{depth}']:.3f}")
            weights.append(f"{weight:.2f}")
        table.add_row(*scores)
        table.add_row(*weights)
        self.console.print(table)
        if metrics.get("eval_one_class"):
            self.console.print(f"warning: {COLLAPSE}", style="yellow")
