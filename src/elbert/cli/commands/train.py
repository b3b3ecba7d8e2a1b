"""``elbert train``: train an ALBERT to answer at every depth."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from elbert.errors import InputError
from elbert.training.options import PRESETS, ExitOptions

if TYPE_CHECKING:
    from transformers import TrainingArguments

TAKES_MORE = True  # every flag of transformers' TrainingArguments
PROBLEMS = {
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
    "regression": "regression",
}
DEFAULTS = {  # of transformers' arguments, where its own do not fit this task
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "load_best_model_at_end": True,
    "metric_for_best_model": "area",
    "save_total_limit": 2,
    "logging_steps": 50,
    "per_device_eval_batch_size": 64,
    "logging_nan_inf_filter": False,  # a loss that is NaN is reported
    "report_to": "none",
    "remove_unused_columns": False,
    "label_names": ["labels"],
    "ddp_find_unused_parameters": False,  # every depth is read, so every parameter is used
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert train``; those about exits come from ``ExitOptions``."""
    parser.add_argument(
        "--model", required=True, metavar="M", help="folder or hub id of an ALBERT or BERT-like encoder or classifier"
    )
    parser.add_argument("--train", required=True, metavar="FILE", help="labelled csv, tsv, jsonl or parquet file")
    parser.add_argument(
        "--validation",
        required=True,
        metavar="FILE",
        help="labelled file of the same formats; selects the best checkpoint, by area (mean score over depths)",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for the model and its checkpoints")
    parser.add_argument(
        "--labels", metavar="A,B,…", help="label names in index order (default: those of the training file)"
    )
    parser.add_argument("--problem", choices=PROBLEMS, default="single-label", help="task (default: %(default)s)")
    parser.add_argument(
        "--max-length",
        type=int,
        metavar="N",
        help="maximum number of tokens; longer texts are truncated (default: 128, or less where the model takes less)",
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="default",
        help="preset of options; paper: as published (default: %(default)s)",
    )
    exits = parser.add_argument_group("exits")
    for option in fields(ExitOptions):
        flag = option.metadata
        default = "the model's" if option.default is None else option.default
        default = f"{default:.3g}" if isinstance(default, float) else default
        exits.add_argument(
            f"--{option.name.replace('_', '-')}",
            type=flag["kind"],
            choices=flag["choices"],
            metavar=None if flag["choices"] else flag["kind"].__name__.upper(),
            help=f"{flag['help']} (default: {default})",
        )
    parser.epilog = (
        "Every flag of transformers' TrainingArguments is accepted too: --learning_rate, --num_train_epochs, "
        "--per_device_train_batch_size, --bf16, --resume_from_checkpoint last, …"
    )


def run(arguments: argparse.Namespace, extra: list[str] | None = None) -> int:
    """Train, and print the score of the written model."""
    from elbert._optional import require

    for module in ("transformers", "accelerate"):
        require(module, "train")
    from elbert.data import read_label_names
    from elbert.training.run import train

    exit_preset, trainer_preset = PRESETS[arguments.preset]
    options = ExitOptions(**(exit_preset | exit_options(arguments)))
    multi = arguments.problem == "multi-label"
    if arguments.problem == "regression":
        labels = ["value"]
    elif arguments.labels:
        labels = [name.strip() for name in arguments.labels.split(",")]
    else:
        labels = read_label_names(arguments.train, multi=multi)
    trainer_arguments = training_arguments(arguments.output, trainer_preset, extra or [])
    metrics = train(
        arguments.model,
        arguments.train,
        arguments.validation,
        labels,
        options,
        trainer_arguments,
        problem=PROBLEMS[arguments.problem],  # type: ignore[arg-type]  # the choices are the problem types
        max_length=arguments.max_length,
    )
    if trainer_arguments.process_index == 0:  # under torchrun this command runs once for each device
        sys.stdout.write(f"{arguments.output}: area {metrics['eval_area']:.4f} on {arguments.validation}\n")
    end_process_group()
    return 0


def end_process_group() -> None:
    """End the group of torchrun's processes: its threads can abort the process if they still run at exit."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def exit_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the exit options that the command line sets."""
    names = [option.name for option in fields(ExitOptions)]
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def training_arguments(output: str, preset: dict[str, Any], extra: list[str]) -> TrainingArguments:
    """Return transformers' arguments: our defaults, overridden by the preset, overridden by flags.

    Raises:
        InputError: a flag is unknown to transformers too, or its value is not accepted.
    """
    import torch
    from transformers import HfArgumentParser, TrainingArguments

    from elbert.training.checks import describe_error

    parser = HfArgumentParser(
        TrainingArguments,  # type: ignore[arg-type]  # transformers expects a NewType that no class has
        prog="elbert train",
        allow_abbrev=False,
        exit_on_error=False,  # its usage is 200 lines long
    )
    # Progress bars are for terminals; pinned memory is for accelerators.
    machine = {"disable_tqdm": not sys.stderr.isatty(), "dataloader_pin_memory": torch.cuda.is_available()}
    parser.set_defaults(**DEFAULTS, **machine, **preset)
    try:
        parsed, unknown = parser.parse_args_into_dataclasses(
            ["--output_dir", output, *extra], look_for_args_file=False, return_remaining_strings=True
        )
    except (ValueError, argparse.ArgumentError) as error:
        raise InputError(" ".join(str(error).split())) from error
    except Exception as error:  # a package or a file that an argument needs is not there, a device is unknown, …
        raise InputError(f"transformers rejects an argument: {describe_error(error)}") from error
    if unknown:
        raise InputError(
            f"unknown argument {unknown[0]!r}: neither elbert train -h nor transformers' TrainingArguments have it"
        )
    arguments: TrainingArguments = parsed
    if arguments.output_dir != output:
        raise InputError(f"--output_dir {arguments.output_dir}: the folder to write is --output, which is {output}")
    return arguments
