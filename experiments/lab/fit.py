"""One fine-tuning, by elbert's own trainer, with any objective."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed
from transformers.utils import logging

from elbert.bundle import Bundle
from elbert.model.precision import is_fast
from elbert.tasks import TASKS
from elbert.tokenization import Tokeniser
from elbert.training.arguments import parse_arguments
from elbert.training.depth_report import DepthReport
from elbert.training.features import Collator, load_features
from elbert.training.metrics import build_metrics
from elbert.training.run import load_starting_model, print_lines, save
from elbert.training.starting_head import start_heads
from elbert.training.trainer import ElbertTrainer, use_fast_forms
from lab.parts import Prepared
from lab.variants import Variant, keep_gradients_apart

TASK = TASKS["single_label_classification"]


@dataclass(frozen=True)
class Machine:
    """How the machine is used; it changes how long a run takes, and its result by rounding only."""

    device: str = "cpu"
    threads: int | None = None
    bf16: str = "auto"  # autocast in training; outputs are always computed in float32

    @property
    def halves(self) -> bool:
        """Whether training computes in bfloat16 (default: where the processor does it well)."""
        return is_fast("bfloat16", torch.device(self.device)) if self.bf16 == "auto" else self.bf16 == "yes"


def fit(
    folder: Path, prepared: Prepared, variant: Variant, seed: int, output: Path, machine: Machine
) -> dict[str, Any]:
    """Train from ``folder``; save the best checkpoint, by the stopping part, in ``output``; return time and steps.

    Best is by the area over depths, or for a plain classifier by its last depth.
    """
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers' own
    if machine.threads is not None:
        torch.set_num_threads(machine.threads)
    arguments = parse_arguments(str(output), {}, training_flags(prepared, variant, seed, machine))
    bundle = Bundle.open(folder)
    tokeniser = Tokeniser.load(folder, prepared.data.max_length)
    set_seed(seed)
    network: Any = load_starting_model(bundle, prepared.labels, variant.options, TASK)[0]
    reset_classifier(network.get_submodule(bundle.config.backbone.head.classifier), network.config.initializer_range)
    if machine.device == "cpu" and bundle.config.backbone.shared:
        use_fast_forms(network, prepared.data.max_length)
    if variant.own_gradients:
        keep_gradients_apart(network)
    objective = variant.objective(network.config.num_hidden_layers, TASK, variant.options)
    clock = StepClock()
    features = {
        part: load_features(str(prepared.file(part)), tokeniser, prepared.labels, TASK)
        for part in ("train", "stopping")
    }
    collator = Collator(tokeniser.pad_id)
    network.to(arguments.device)
    console, rows = Console(stderr=True), features["train"]
    print_lines(console, start_heads(network, True, bundle, prepared.labels, rows, collator, TASK, variant.options))
    trainer = ElbertTrainer(
        objective=objective,
        model=network,
        args=arguments,
        train_dataset=features["train"],
        eval_dataset=features["stopping"],
        data_collator=collator,
        compute_metrics=build_metrics(TASK),
        callbacks=[DepthReport(objective, console), clock],
    )
    trainer.remove_callback(PrinterCallback)
    begun = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - begun
    metrics = trainer.evaluate()
    trained_on = {"train": {"name": prepared.data.name, "rows": len(features["train"])}}
    save(trainer, tokeniser, output, metrics, objective, trained_on)
    return {
        "seconds": round(seconds, 2),
        "step_seconds": round(clock.seconds, 2),
        "step_cpu_seconds": round(clock.cpu, 2),
        "steps": trainer.state.global_step,
        "best_step": best_step(trainer.state),
        "texts": len(features["train"]),
        "tokens": sum(len(f["input_ids"]) for f in features["train"]),
        "exit_weights": [round(weight, 4) for weight in objective.weights().tolist()],
        "stopping": [round(metrics[f"eval_depth_{m}"], 5) for m in range(1, objective.depths + 1)],
    }


def training_flags(prepared: Prepared, variant: Variant, seed: int, machine: Machine) -> list[str]:
    """The arguments of ``elbert train`` for this run."""
    data = prepared.data
    chosen = {
        "per_device_train_batch_size": data.batch,
        "num_train_epochs": data.epochs,
        "learning_rate": data.rate,
        "warmup_steps": 0.1,
        "seed": seed,
        "bf16": machine.halves,
        "use_cpu": machine.device == "cpu",
        "train_sampling_strategy": "group_by_length",
        "metric_for_best_model": "accuracy" if variant.plain else "area",
        "save_only_model": True,
        "save_total_limit": 1,
        "disable_tqdm": True,
    }
    return [part for name, value in chosen.items() for part in (f"--{name}", str(value))]


def reset_classifier(classifier: nn.Linear, spread: float) -> None:
    """A base may have been a classifier of something else with as many classes: no task inherits another's."""
    nn.init.normal_(classifier.weight, std=spread)
    nn.init.zeros_(classifier.bias)


def best_step(state: TrainerState) -> int:
    """The step whose checkpoint was kept."""
    best = state.best_model_checkpoint
    return state.global_step if best is None else int(Path(best).name.rpartition("-")[2])


class StepClock(TrainerCallback):
    """Seconds spent in training steps, without evaluation and checkpoints, on the clock and of the processor."""

    def __init__(self) -> None:
        self.seconds = self.cpu = 0.0
        self.begun = (0.0, 0.0)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """transformers' hook."""
        self.begun = (time.perf_counter(), time.process_time())

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """transformers' hook."""
        self.seconds += time.perf_counter() - self.begun[0]
        self.cpu += time.process_time() - self.begun[1]
