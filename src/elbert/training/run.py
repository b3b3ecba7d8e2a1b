"""One training run: files in, a model folder out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console
from transformers import PrinterCallback, TrainingArguments

from elbert._files import replaced
from elbert.bundle import Bundle
from elbert.errors import DataError, InputError
from elbert.model.config import Problem
from elbert.model.modeling import ElbertForSequenceClassification
from elbert.text import Tokeniser
from elbert.training.data import Collator, load_features
from elbert.training.objective import ExitObjective
from elbert.training.options import ExitOptions
from elbert.training.report import DepthReport
from elbert.training.scores import metrics_for
from elbert.training.trainer import ElbertTrainer


def train(
    model: str,
    train_file: str,
    validation_file: str,
    labels: Sequence[str],
    options: ExitOptions,
    arguments: TrainingArguments,
    *,
    problem: Problem = "single_label_classification",
    max_length: int = 128,
    console: Console | None = None,
) -> dict[str, float]:
    """Train from a model folder or hub id, and write the best checkpoint, by area, into ``arguments.output_dir``.

    Returns the validation metrics of what was written.

    Raises:
        BundleError: the model cannot be used.
        DataError: a file cannot be used.
        InputError: the output folder already holds a model.
    """
    output = Path(cast(str, arguments.output_dir))
    if (output / "config.json").exists() and not arguments.resume_from_checkpoint:
        raise InputError(f"{output} already holds a model: choose another --output, or remove it first")
    bundle = Bundle.open(model)
    tokeniser = Tokeniser.load(bundle.folder, min(max_length, bundle.config.max_position_embeddings))
    network = starting_model(bundle.folder, labels, options, problem)
    if tokeniser.vocab_size > network.config.vocab_size:
        raise DataError(f"{bundle.folder}: the tokenizer knows more tokens than the model; restore its files")
    objective = ExitObjective(network.config.num_hidden_layers, problem, options)
    trainer = ElbertTrainer(
        objective=objective,
        model=network,
        args=arguments,
        train_dataset=load_features(train_file, tokeniser, labels, problem),
        eval_dataset=load_features(validation_file, tokeniser, labels, problem),
        data_collator=Collator(tokeniser.pad_id),
        compute_metrics=metrics_for(problem),
        callbacks=[DepthReport(objective, console or Console(stderr=True))],
    )
    trainer.remove_callback(PrinterCallback)  # DepthReport tells it, on standard error
    trainer.train(resume_from_checkpoint=resume_from(arguments.resume_from_checkpoint))
    metrics = trainer.evaluate()
    if trainer.is_world_process_zero():
        save(trainer, tokeniser, output, metrics, objective)
    return metrics


def starting_model(
    folder: Path, labels: Sequence[str], options: ExitOptions, problem: Problem
) -> ElbertForSequenceClassification:
    """The network to train, in float32, with the labels of the data; a head of another size starts anew."""
    chosen: dict[str, Any] = {"pooling": options.pooling, "exit_heads": options.exit_heads}
    network: ElbertForSequenceClassification = ElbertForSequenceClassification.from_pretrained(
        folder,
        dtype=torch.float32,
        problem_type=problem,
        id2label=dict(enumerate(labels)),
        label2id={name: i for i, name in enumerate(labels)},
        ignore_mismatched_sizes=True,
        **{name: value for name, value in chosen.items() if value is not None},
    )
    return network


def save(
    trainer: ElbertTrainer, tokeniser: Tokeniser, output: Path, metrics: dict[str, float], objective: ExitObjective
) -> None:
    """The model folder, and beside it what the run measured."""
    network = trainer.accelerator.unwrap_model(trainer.model)
    network.save_pretrained(output)
    tokeniser.save(output)
    record = {"metrics": metrics, "exit_weights": objective.weights().tolist(), "steps": trainer.state.global_step}
    with replaced(output / "training.json") as out:
        out.write(json.dumps(record, indent=2) + "\n")


def resume_from(given: str | None) -> str | bool | None:
    """A checkpoint's path, or True for the latest one in the output folder."""
    return True if given is not None and given.lower() in ("true", "last") else given
