"""transformers' Trainer with the objective over all depths, and faster forms of the network's functions on a CPU."""

# ruff: noqa: E402

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

from elbert._optional import require

require("transformers", "train")  # before the imports below, so that the error names the remedy

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, SchedulerType

from elbert.errors import DataError, InputError
from elbert.tokenization import Tokeniser
from elbert.training.metrics import is_as_good, is_finite
from elbert.training.objective import ExitObjective

SHORT = 128  # tokens; up to this length the backward pass of fused attention is slow, beyond it saves memory
EXIT_WEIGHTS = "exit_weights.safetensors"  # in every checkpoint, beside the optimizer's state


class ElbertTrainer(Trainer):
    """Trains all depths together in one stage: one forward pass, one backward pass, no extra epoch.

    The objective's parameters, if it has any, are trained beside the network's with their own rate and schedule. They
    are saved in checkpoints and restored from them, and are not part of the model.
    """

    objective: ExitObjective
    tokeniser: Tokeniser | None  # saved in every checkpoint, which is then a whole model folder

    def __init__(self, *, objective: ExitObjective, tokeniser: Tokeniser | None = None, **options: Any) -> None:
        task = objective.task
        # exit_logits are the last of the model's outputs
        super().__init__(preprocess_logits_for_metrics=lambda logits, _: task.collect_outputs(logits[-1]), **options)
        self.objective = objective.to(self.args.device)
        self.tokeniser = tokeniser
        self.add_callback(GradientReset(objective))
        # The loss is a mean over the current batch, so transformers must average accumulated batches.
        self.model_accepts_loss_kwargs = False

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the objective over every depth's logits."""
        features = {name: value for name, value in inputs.items() if name != "labels"}
        outputs = model(**features, return_dict=True)
        loss = self.objective(outputs.exit_logits, inputs["labels"])
        return (loss, outputs) if return_outputs else loss

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> Any:
        """Keep every output: the scores need the logits of all depths, which the model's configuration leaves out."""
        return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys or [])

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Create transformers' optimizer with a group for the objective's parameters, before any scheduler is built."""
        is_new = self.optimizer is None
        optimizer = super().create_optimizer() if model is None else super().create_optimizer(model)
        own = list(self.objective.parameters())
        if is_new and own:
            rate = self.objective.options.weight_rate
            optimizer.add_param_group({"params": own, "lr": rate, "weight_decay": 0.0})
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LRScheduler:
        """Create transformers' schedule; the objective's group keeps a constant rate, or follows the network's.

        Raises:
            InputError: the rate must be constant, and this kind of schedule changes all groups.
        """
        is_new = self.lr_scheduler is None
        schedule = super().create_scheduler(num_training_steps, optimizer)
        own = list(self.objective.parameters())
        if is_new and own and self.objective.options.weight_schedule == "constant":
            if not isinstance(schedule, LambdaLR):
                raise InputError(
                    f"lr_scheduler_type {SchedulerType(self.args.lr_scheduler_type).value} changes all rates together; "
                    "choose another, or weight_schedule 'same'"
                )
            exclude_last_group(schedule)
        return schedule

    def evaluate_unchanged(self) -> dict[str, float]:
        """Evaluate after training; with ``bf16_full_eval`` transformers would convert the network itself."""
        self.is_in_train = True
        try:
            return self.evaluate()
        finally:
            self.is_in_train = False

    def is_sound(self, metrics: dict[str, float]) -> bool:
        """Whether the network's weights and these metrics are finite, so that the network can be used."""
        is_sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled
        weights = () if is_sharded else cast(nn.Module, self.model).parameters()  # all processes must agree
        return is_finite(metrics) and all(bool(weight.isfinite().all()) for weight in weights)

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        # Whatever the metric: a network with NaN or infinity is never the best one.
        if not self.is_sound(metrics):
            return False
        if super()._determine_best_metric(metrics, trial):
            return True
        if is_as_good(metrics, cast(str, self.args.metric_for_best_model), cast(float, self.state.best_metric)):
            self.state.best_global_step = self.state.global_step  # the best metric stays: tolerance does not add up
            return True
        return False

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self.tokeniser is not None and self.args.should_save:
            self.tokeniser.save(Path(cast(str, output_dir or self.args.output_dir)))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        try:
            super()._save_checkpoint(model, trial)
        except Exception:
            if self.args.should_save:  # a part of a checkpoint would be taken for one
                folder = Path(cast(str, self.args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        state = self.objective.state_dict()
        if state and self.args.should_save:
            save_file({name: value.cpu() for name, value in state.items()}, str(Path(output_dir) / EXIT_WEIGHTS))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            # Checked before the optimizer's state, whose error would only mention parameter groups.
            file, is_learned = Path(checkpoint) / EXIT_WEIGHTS, bool(self.objective.state_dict())
            if is_learned and not file.exists():
                raise DataError(f"{file}: missing; this checkpoint was not written with learned exit weights")
            if file.exists() and not is_learned:
                raise DataError(f"{file}: this checkpoint was written with learned exit weights; resume with them")
            self._load_exit_weights(checkpoint)
        super()._load_optimizer_and_scheduler(checkpoint)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        # The report shows the weights with which the best network was trained.
        self._load_exit_weights(cast(str, self.state.best_model_checkpoint))

    def _load_exit_weights(self, checkpoint: str) -> None:
        file = Path(checkpoint) / EXIT_WEIGHTS
        if file.exists() and self.objective.state_dict():
            self.objective.load_state_dict(load_file(str(file)))


class Rehearsal(TrainerCallback):
    """Evaluates a few texts when all is prepared, before the first step: what fails there would fail after an epoch.

    ``has_begun`` is whether a step is complete: until then an error is one of the arguments.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.has_begun = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Evaluate; called by transformers. The run that follows is the same as without it."""
        rows = args.eval_batch_size * args.world_size if args.dataloader_drop_last else 2
        with torch.random.fork_rng():  # a data loader draws a random number
            self.trainer.predict(cast(Any, self.trainer.eval_dataset)[:rows])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Record the first step; called by transformers."""
        self.has_begun = True


class EarlyStop(EarlyStoppingCallback):
    """Ends training after ``patience`` evaluations in a row that are not as good as the best one."""

    def on_evaluate(  # type: ignore[override]  # transformers' has the metrics as a parameter
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count an evaluation; called by transformers, before the best metric includes it."""
        chosen, best = cast(str, args.metric_for_best_model), state.best_metric
        if best is not None and is_as_good(kwargs["metrics"], chosen, best):
            self.early_stopping_patience_counter = 0
        else:
            super().on_evaluate(args, state, control, **kwargs)  # type: ignore[no-untyped-call]  # transformers' own


class GradientReset(TrainerCallback):
    """Clears the objective's gradient before each step: transformers clears only the model's."""

    def __init__(self, objective: ExitObjective) -> None:
        self.objective = objective

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Clear the gradient; called by transformers once for all batches of a step."""
        self.objective.zero_grad()


def exclude_last_group(schedule: LambdaLR) -> None:
    """Keep the rate of the last parameter group constant."""
    schedule.lr_lambdas[-1] = constant
    schedule.optimizer.param_groups[-1]["lr"] = schedule.base_lrs[-1]  # the first step's rate is set already
    schedule._last_lr[-1] = schedule.base_lrs[-1]


def constant(step: int) -> float:
    """Return the factor of a constant rate; a module-level function, so that the scheduler's state can be saved."""
    return 1.0


def use_fast_forms(network: PreTrainedModel, longest: int) -> None:
    """Replace functions of a shared-layer ``network`` by forms that train faster on a CPU: a third off a short step.

    ``longest`` is the maximum number of tokens of a row. Attention is computed unfused, and gelu_new, eight operations
    in transformers, is one. Values differ by rounding only, and the saved model is unchanged.
    """
    if longest <= SHORT:
        network.set_attn_implementation("eager")
    if network.config.hidden_act == "gelu_new":
        albert: Any = network.get_submodule("albert")
        for group in albert.encoder.albert_layer_groups:
            for layer in group.albert_layers:
                layer.activation = nn.GELU(approximate="tanh")
