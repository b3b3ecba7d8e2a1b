"""A training run: checks of the arguments, the starting model, training, and the model folder that it writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console
from transformers import PreTrainedModel, PrinterCallback, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from elbert._atomic import open_atomic
from elbert.bundle import Bundle
from elbert.errors import BundleError, DataError, InputError
from elbert.model.config import Problem
from elbert.model.families import Backbone
from elbert.model.reference import reference_class
from elbert.tokenization import Tokeniser
from elbert.training.features import Collator, load_features
from elbert.training.metrics import DepthReport, build_metrics
from elbert.training.objective import ExitObjective
from elbert.training.options import ExitOptions
from elbert.training.trainer import ElbertTrainer, use_fast_forms


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

    Returns the validation metrics of that checkpoint.

    Raises:
        BundleError: the model cannot be used.
        DataError: a file cannot be used.
        InputError: the output folder already holds a model, or labels and options do not fit the problem or the model.
    """
    console = console or Console(stderr=True)
    output = Path(cast(str, arguments.output_dir))
    resume = find_checkpoint(arguments.resume_from_checkpoint, output)
    check_output(output, resume)
    check_labels(labels, problem, arguments.label_smoothing_factor)
    use_one_device(arguments, console)
    bundle = Bundle.open(model)
    tokeniser = Tokeniser.load(bundle.folder, min(max_length, bundle.config.max_length))
    set_seed(arguments.seed)  # the Trainer sets it too, but a new head is initialised before
    check_exits(options, bundle.config.backbone)
    network = load_starting_model(bundle, labels, options, problem)
    if tokeniser.vocab_size > network.config.vocab_size:
        raise DataError(f"{bundle.folder}: the tokenizer has more tokens than the model; restore its files")
    if arguments.device.type == "cpu" and bundle.config.backbone.shared:
        use_fast_forms(network, tokeniser.max_length)
    objective = ExitObjective(network.config.num_hidden_layers, problem, options, arguments.label_smoothing_factor)
    trainer = ElbertTrainer(
        objective=objective,
        model=network,
        args=arguments,
        train_dataset=load_features(train_file, tokeniser, labels, problem),
        eval_dataset=load_features(validation_file, tokeniser, labels, problem),
        data_collator=Collator(tokeniser.pad_id),
        compute_metrics=build_metrics(problem),
        callbacks=[DepthReport(objective, console)],
    )
    trainer.remove_callback(PrinterCallback)  # DepthReport prints the same, on standard error
    trainer.train(resume_from_checkpoint=resume)
    metrics = trainer.evaluate()
    if trainer.is_world_process_zero():
        save(trainer, tokeniser, output, metrics, objective)
    return metrics


def load_starting_model(
    bundle: Bundle, labels: Sequence[str], options: ExitOptions, problem: Problem
) -> PreTrainedModel:
    """Load the network in float32, with the labels of the data; a head of another size is initialised again.

    Raises:
        BundleError: the folder has no weights, or some are missing.
        InputError: more exit heads than the model has depths.
    """
    backbone, folder = bundle.config.backbone, bundle.folder
    chosen: dict[str, Any] = {"pooling": options.pooling, "exit_heads": options.exit_heads} if backbone.shared else {}
    try:
        network, loading = reference_class(backbone).from_pretrained(
            folder,
            dtype=torch.float32,
            problem_type=problem,
            id2label=dict(enumerate(labels)),
            label2id={name: i for i, name in enumerate(labels)},
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **{name: value for name, value in chosen.items() if value is not None},
        )
    except OSError as error:
        raise BundleError(f"{folder}: its weights cannot be read ({str(error).splitlines()[0]})") from error
    absent = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    initialised = (f"{backbone.head.pooler}.", f"{backbone.head.classifier}.", "earlier_heads.")  # for a new task
    if missing := sorted(key for key in absent if not key.startswith(initialised)):
        raise BundleError(
            f"{folder}: no weights that fit for {missing[0]} and {len(missing) - 1} more; restore its files"
        )
    return cast(PreTrainedModel, network)


def save(
    trainer: ElbertTrainer, tokeniser: Tokeniser, output: Path, metrics: dict[str, float], objective: ExitObjective
) -> None:
    """Write the model folder, and ``training.json`` with the run's metrics."""
    network = trainer.accelerator.unwrap_model(trainer.model)
    network.save_pretrained(output)
    tokeniser.save(output)
    record = {"metrics": metrics, "exit_weights": objective.weights().tolist(), "steps": trainer.state.global_step}
    with open_atomic(output / "training.json") as out:
        out.write(json.dumps(record, indent=2) + "\n")


def check_output(output: Path, resume: str | None) -> None:
    """Check that no model is overwritten, and that checkpoints of two runs do not mix."""
    if resume is not None:
        return
    if (output / "config.json").exists():
        raise InputError(f"{output} already holds a model: choose another --output, or remove it first")
    if find_last_checkpoint(output) is not None:
        raise InputError(
            f"{output} holds checkpoints of an earlier run: --resume_from_checkpoint last continues it; "
            "or choose another --output"
        )


def check_labels(labels: Sequence[str], problem: Problem, smoothing: float) -> None:
    """Check that the labels fit the problem."""
    least, what = {"single_label_classification": (2, "two labels or more"), "regression": (1, "one label")}.get(
        problem, (1, "one label or more")
    )
    if len(labels) < least or (problem == "regression" and len(labels) > 1):
        raise InputError(f"{problem} takes {what}, got {', '.join(labels) or 'none'}")
    if "" in labels or len(set(labels)) < len(labels):
        raise InputError(f"labels are {', '.join(map(repr, labels))}; expected distinct names")
    if smoothing and problem != "single_label_classification":
        raise InputError(f"label_smoothing_factor is for single-label classification only, and this is {problem}")


def check_exits(options: ExitOptions, backbone: Backbone) -> None:
    """Check that the family's ``config.json`` can express the exit heads."""
    for name, default in (("pooling", "cls"), ("exit_heads", 1)):
        value = getattr(options, name)
        if not backbone.shared and value not in (None, default):
            raise InputError(
                f"{name} is {value!r}: this is for ALBERT only; a {backbone.title} is trained with {default!r}"
            )


def use_one_device(arguments: TrainingArguments, console: Console) -> None:
    """Prevent transformers from splitting a batch over devices: it would concatenate logits along the depths.

    One process per device, as ``torchrun`` starts them, is faster in any case.
    """
    if arguments.n_gpu > 1:
        console.print(f"one device of {arguments.n_gpu} is used; torchrun --nproc_per_node uses more", highlight=False)
        arguments._n_gpu = 1


def find_checkpoint(checkpoint: str | None, output: Path) -> str | None:
    """Return the checkpoint to resume from: the named one, or for ``last`` the latest in the output folder.

    Raises:
        InputError: there is no such checkpoint.
    """
    if checkpoint is None or checkpoint.lower() == "false":
        return None
    if checkpoint.lower() not in ("true", "last"):
        if not (Path(checkpoint) / "trainer_state.json").is_file():
            raise InputError(f"{checkpoint}: no checkpoint; give the folder of one, checkpoint-…, or last")
        return checkpoint
    found = find_last_checkpoint(output)
    if found is None:
        raise InputError(f"{output}: no checkpoint to resume from; omit --resume_from_checkpoint to start anew")
    return found


def find_last_checkpoint(output: Path) -> str | None:
    """Return the latest checkpoint in a folder, or None."""
    if not output.is_dir():
        return None
    found: str | None = get_last_checkpoint(str(output))  # type: ignore[no-untyped-call]  # transformers' own
    return found
