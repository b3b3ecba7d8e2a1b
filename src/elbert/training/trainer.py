"""transformers' Trainer with the exits' objective in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer

from elbert.errors import DataError
from elbert.training.objective import ExitObjective

EXIT_WEIGHTS = "exit_weights.safetensors"  # beside the optimizer's state in every checkpoint


class ElbertTrainer(Trainer):  # type: ignore[misc]
    """Trains all depths at once, in one stage: one forward pass, one backward pass, no extra epoch.

    The objective's own parameters, if it has any, are trained beside the network's, with a rate and a schedule of
    their own; they are saved in checkpoints and resumed, and never enter the model.
    """

    def __init__(self, *, objective: ExitObjective, **options: Any) -> None:
        super().__init__(preprocess_logits_for_metrics=rows_first, **options)
        self.objective = objective.to(self.args.device)
        # Our loss is a mean over the batch at hand, so accumulated batches are averaged by transformers.
        self.model_accepts_loss_kwargs = False

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The objective over every depth's logits."""
        without = {name: value for name, value in inputs.items() if name != "labels"}
        outputs = model(**without)
        loss = self.objective(outputs.exit_logits, inputs["labels"])
        return (loss, outputs) if return_outputs else loss

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """transformers' optimizer, with a group for the objective's parameters before any scheduler is built."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer() if model is None else super().create_optimizer(model)
        own = list(self.objective.parameters())
        if fresh and own:
            rate = self.objective.options.weight_rate
            optimizer.add_param_group({"params": own, "lr": rate, "weight_decay": 0.0})
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """transformers' schedule; the objective's group keeps its rate unless it is to follow the network's."""
        fresh = self.lr_scheduler is None
        schedule = super().create_scheduler(num_training_steps, optimizer)
        own = list(self.objective.parameters())
        if fresh and own and self.objective.options.weight_schedule == "constant" and isinstance(schedule, LambdaLR):
            schedule.lr_lambdas[-1] = constant
        return schedule

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        state = self.objective.state_dict()
        if state and self.args.should_save:
            save_file({name: value.cpu() for name, value in state.items()}, str(Path(output_dir) / EXIT_WEIGHTS))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or not self.objective.state_dict():
            return
        file = Path(checkpoint) / EXIT_WEIGHTS
        if not file.exists():
            raise DataError(f"{file}: missing; this checkpoint was not written with learned exit weights")
        self.objective.load_state_dict(load_file(str(file)))


def rows_first(logits: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
    """``[rows, depths, classes]``: what is gathered over batches and processes must begin with rows."""
    return logits[1].transpose(0, 1).contiguous()


def constant(step: int) -> float:
    """A schedule that leaves the rate alone; a plain function, so that the scheduler's state can be saved."""
    return 1.0
