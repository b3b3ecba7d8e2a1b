"""The same functions in forms that a processor trains faster: a third off a step on short rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import SchedulerType

from elbert.errors import DataError, InputError
from elbert.training.objective import ExitObjective

SHORT = 128  # tokens; the fused attention's backward is slow on rows up to here, and saves memory on longer ones


def quicken(network: PreTrainedModel, longest: int) -> None:
    """Let a shared-layer ``network`` train fast on a processor, on rows of at most ``longest`` tokens.

    Attention is written out, and gelu_new, which transformers writes as eight operations, is one. Values differ by
    rounding only, and nothing of it is saved.
    """
    if longest <= SHORT:
        network.set_attn_implementation("eager")
    if network.config.hidden_act == "gelu_new":
        albert: Any = network.get_submodule("albert")
        for group in albert.encoder.albert_layer_groups:
            for layer in group.albert_layers:
                layer.activation = nn.GELU(approximate="tanh")


EXIT_WEIGHTS = "exit_weights.safetensors"  # beside the optimizer's state in every checkpoint


class ElbertTrainer(Trainer):
    """Trains all depths at once, in one stage: one forward pass, one backward pass, no extra epoch.

    The objective's own parameters, if it has any, are trained beside the network's, with a rate and a schedule of
    their own; they are saved in checkpoints and resumed, and never enter the model.
    """

    objective: ExitObjective

    def __init__(self, *, objective: ExitObjective, **options: Any) -> None:
        super().__init__(preprocess_logits_for_metrics=cast(Any, rows_first), **options)
        self.objective = objective.to(self.args.device)
        self.add_callback(FreshGradient(objective))
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
        outputs = model(**without, return_dict=True)
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

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LRScheduler:
        """transformers' schedule; the objective's group keeps its rate unless it is to follow the network's.

        Raises:
            InputError: the group is to keep its rate, and this kind of schedule cannot leave a group out.
        """
        fresh = self.lr_scheduler is None
        schedule = super().create_scheduler(num_training_steps, optimizer)
        own = list(self.objective.parameters())
        if fresh and own and self.objective.options.weight_schedule == "constant":
            if not isinstance(schedule, LambdaLR):
                raise InputError(
                    f"lr_scheduler_type {SchedulerType(self.args.lr_scheduler_type).value} moves all rates together; "
                    "choose another, or weight_schedule 'same'"
                )
            leave_out_last_group(schedule)
        return schedule

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        state = self.objective.state_dict()
        if state and self.args.should_save:
            save_file({name: value.cpu() for name, value in state.items()}, str(Path(output_dir) / EXIT_WEIGHTS))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            # Before the optimizer's state, whose own complaint would be about parameter groups.
            file, wanted = Path(checkpoint) / EXIT_WEIGHTS, bool(self.objective.state_dict())
            if wanted and not file.exists():
                raise DataError(f"{file}: missing; this checkpoint was not written with learned exit weights")
            if file.exists() and not wanted:
                raise DataError(f"{file}: this checkpoint was written with learned exit weights; resume with them")
            self._load_exit_weights(checkpoint)
        super()._load_optimizer_and_scheduler(checkpoint)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        # What is reported beside the best network are the weights it was trained with.
        self._load_exit_weights(cast(str, self.state.best_model_checkpoint))

    def _load_exit_weights(self, checkpoint: str) -> None:
        file = Path(checkpoint) / EXIT_WEIGHTS
        if file.exists() and self.objective.state_dict():
            self.objective.load_state_dict(load_file(str(file)))


class FreshGradient(TrainerCallback):
    """Forgets the objective's gradient before each step: transformers clears the model's only."""

    def __init__(self, objective: ExitObjective) -> None:
        self.objective = objective

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """transformers' hook, called once for all the batches of one step."""
        self.objective.zero_grad()


def rows_first(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """``[rows, depths, classes]``: what is gathered over batches and processes must begin with rows."""
    return logits[-1].transpose(0, 1).contiguous()  # exit_logits are the last of the model's outputs


def leave_out_last_group(schedule: LambdaLR) -> None:
    """Let the last parameter group keep its rate."""
    schedule.lr_lambdas[-1] = constant
    schedule.optimizer.param_groups[-1]["lr"] = schedule.base_lrs[-1]  # the first step's rate is set already
    schedule._last_lr[-1] = schedule.base_lrs[-1]


def constant(step: int) -> float:
    """A schedule that leaves the rate alone; a plain function, so that the scheduler's state can be saved."""
    return 1.0
