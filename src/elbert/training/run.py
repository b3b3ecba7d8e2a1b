"""What must hold before a training run begins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console
from transformers import PreTrainedModel, PrinterCallback, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from elbert._atomic import replaced
from elbert.bundle import Bundle
from elbert.errors import BundleError, DataError, InputError
from elbert.model.config import Problem
from elbert.model.families import Backbone
from elbert.model.reference import reference_class
from elbert.tokenization import Tokeniser
from elbert.training.features import Collator, load_features
from elbert.training.metrics import DepthReport, metrics_for
from elbert.training.objective import ExitObjective
from elbert.training.options import ExitOptions
from elbert.training.trainer import ElbertTrainer, quicken


def check_output(output: Path, resume: str | None) -> None:
    """Let no run write over another's model, or mix its checkpoints with another's."""
    if resume is not None:
        return
    if (output / "config.json").exists():
        raise InputError(f"{output} already holds a model: choose another --output, or remove it first")
    if last_checkpoint(output) is not None:
        raise InputError(
            f"{output} holds checkpoints of an earlier run: --resume_from_checkpoint last continues it; "
            "or choose another --output"
        )


def check_labels(labels: Sequence[str], problem: Problem, smoothing: float) -> None:
    """Hold the labels to what the problem asks for."""
    least, what = {"single_label_classification": (2, "two labels or more"), "regression": (1, "one label")}.get(
        problem, (1, "one label or more")
    )
    if len(labels) < least or (problem == "regression" and len(labels) > 1):
        raise InputError(f"{problem} takes {what}, came {', '.join(labels) or 'none'}")
    if "" in labels or len(set(labels)) < len(labels):
        raise InputError(f"labels are {', '.join(map(repr, labels))}; expected distinct names")
    if smoothing and problem != "single_label_classification":
        raise InputError(f"label_smoothing_factor is for single-label classification only, and this is {problem}")


def check_exits(options: ExitOptions, backbone: Backbone) -> None:
    """Hold what the exit heads are to read to what the family can say of it on disk."""
    for name, usual in (("pooling", "cls"), ("exit_heads", 1)):
        value = getattr(options, name)
        if not backbone.shared and value not in (None, usual):
            raise InputError(f"{name} is {value!r}: that is for ALBERT; a {backbone.title} is trained with {usual!r}")


def use_one_device(arguments: TrainingArguments, console: Console) -> None:
    """Keep transformers from splitting a batch over devices within a process: logits of all depths come depths first.

    One process for each device, which ``torchrun`` starts, is faster anyway.
    """
    if arguments.n_gpu > 1:
        console.print(f"one device of {arguments.n_gpu} is used; torchrun --nproc_per_node uses more", highlight=False)
        arguments._n_gpu = 1


def resume_from(given: str | None, output: Path) -> str | None:
    """The checkpoint to go on from: the one named, or with ``last`` the latest in the output folder.

    Raises:
        InputError: it is not there.
    """
    if given is None or given.lower() == "false":
        return None
    if given.lower() not in ("true", "last"):
        if not (Path(given) / "trainer_state.json").is_file():
            raise InputError(f"{given}: no checkpoint; give the folder of one, checkpoint-…, or last")
        return given
    found = last_checkpoint(output)
    if found is None:
        raise InputError(f"{output}: no checkpoint to resume from; leave out --resume_from_checkpoint to begin")
    return found


def last_checkpoint(output: Path) -> str | None:
    """The latest checkpoint in a folder, if there is one."""
    if not output.is_dir():
        return None
    found: str | None = get_last_checkpoint(str(output))  # type: ignore[no-untyped-call]  # transformers' own
    return found


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
        InputError: the output folder already holds a model, or labels and options do not fit the problem or the model.
    """
    console = console or Console(stderr=True)
    output = Path(cast(str, arguments.output_dir))
    resume = resume_from(arguments.resume_from_checkpoint, output)
    check_output(output, resume)
    check_labels(labels, problem, arguments.label_smoothing_factor)
    use_one_device(arguments, console)
    bundle = Bundle.open(model)
    tokeniser = Tokeniser.load(bundle.folder, min(max_length, bundle.config.max_length))
    set_seed(arguments.seed)  # the Trainer does so too, but a new head is drawn before there is one
    check_exits(options, bundle.config.backbone)
    network = starting_model(bundle, labels, options, problem)
    if tokeniser.vocab_size > network.config.vocab_size:
        raise DataError(f"{bundle.folder}: the tokenizer knows more tokens than the model; restore its files")
    if arguments.device.type == "cpu" and bundle.config.backbone.shared:
        quicken(network, tokeniser.max_length)
    objective = ExitObjective(network.config.num_hidden_layers, problem, options, arguments.label_smoothing_factor)
    trainer = ElbertTrainer(
        objective=objective,
        model=network,
        args=arguments,
        train_dataset=load_features(train_file, tokeniser, labels, problem),
        eval_dataset=load_features(validation_file, tokeniser, labels, problem),
        data_collator=Collator(tokeniser.pad_id),
        compute_metrics=metrics_for(problem),
        callbacks=[DepthReport(objective, console)],
    )
    trainer.remove_callback(PrinterCallback)  # DepthReport tells it, on standard error
    trainer.train(resume_from_checkpoint=resume)
    metrics = trainer.evaluate()
    if trainer.is_world_process_zero():
        save(trainer, tokeniser, output, metrics, objective)
    return metrics


def starting_model(bundle: Bundle, labels: Sequence[str], options: ExitOptions, problem: Problem) -> PreTrainedModel:
    """The network to train, in float32, with the labels of the data; a head of another size starts anew.

    Raises:
        BundleError: the folder has no weights, or they are not all there.
        InputError: more exit heads are wanted than the model has depths.
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
    anew = (f"{backbone.head.pooler}.", f"{backbone.head.classifier}.", "earlier_heads.")  # for a new task
    if lost := sorted(key for key in absent if not key.startswith(anew)):
        raise BundleError(f"{folder}: no weights that fit for {lost[0]} and {len(lost) - 1} more; restore its files")
    return cast(PreTrainedModel, network)


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
