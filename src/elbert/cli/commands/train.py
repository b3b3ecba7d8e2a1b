"""``elbert train``: train an ALBERT so that every depth can answer."""

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
OURS = {  # what transformers leaves open or sets for other tasks
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "load_best_model_at_end": True,
    "metric_for_best_model": "area",
    "greater_is_better": True,
    "save_total_limit": 2,
    "logging_steps": 50,
    "per_device_eval_batch_size": 64,
    "report_to": "none",
    "remove_unused_columns": False,
    "label_names": ["labels"],
    "ddp_find_unused_parameters": False,  # every depth is read, so every parameter is used
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments; those of the exits carry their defaults in ``ExitOptions``."""
    parser.add_argument(
        "--model", required=True, metavar="M", help="folder or hub id of an ALBERT or BERT-like encoder, or classifier"
    )
    parser.add_argument("--train", required=True, metavar="FILE", help="labelled csv, tsv, jsonl or parquet")
    parser.add_argument(
        "--validation", required=True, metavar="FILE", help="the same; picks the best checkpoint, by area"
    )
    parser.add_argument(
        "--output", required=True, metavar="DIR", help="the model folder to write, and checkpoints in it"
    )
    parser.add_argument(
        "--labels", metavar="A,B,…", help="label names in index order (unsaid: as found in the training file)"
    )
    parser.add_argument("--problem", choices=PROBLEMS, default="single-label")
    parser.add_argument("--max-length", type=int, default=128, metavar="N", help="tokens; longer texts are cut")
    parser.add_argument("--preset", choices=PRESETS, default="default", help="paper: as the authors have it")
    exits = parser.add_argument_group("exits")
    for option in fields(ExitOptions):
        told = option.metadata
        unsaid = "as the model has it" if option.default is None else option.default
        exits.add_argument(
            f"--{option.name.replace('_', '-')}",
            type=told["kind"],
            choices=told["choices"],
            metavar=None if told["choices"] else told["kind"].__name__.upper(),
            help=f"{told['help']} (unsaid: {unsaid})",
        )
    parser.epilog = (
        "Every flag of transformers' TrainingArguments is accepted too: --learning_rate, --num_train_epochs, "
        "--per_device_train_batch_size, --bf16, --resume_from_checkpoint last, …"
    )


def run(arguments: argparse.Namespace, extra: list[str] | None = None) -> int:
    """Train, and tell what was written."""
    from elbert._optional import require

    for module in ("transformers", "accelerate"):
        require(module, "train")
    from elbert.data import label_names
    from elbert.training.run import train

    exit_preset, trainer_preset = PRESETS[arguments.preset]
    options = ExitOptions(**(exit_preset | given(arguments)))
    multi = arguments.problem == "multi-label"
    if arguments.problem == "regression":
        labels = ["value"]
    elif arguments.labels:
        labels = [name.strip() for name in arguments.labels.split(",")]
    else:
        labels = label_names(arguments.train, multi=multi)
    theirs = training_arguments(arguments.output, trainer_preset, extra or [])
    metrics = train(
        arguments.model,
        arguments.train,
        arguments.validation,
        labels,
        options,
        theirs,
        problem=PROBLEMS[arguments.problem],  # type: ignore[arg-type]  # the choices are the problem types
        max_length=arguments.max_length,
    )
    if theirs.process_index == 0:  # under torchrun this command runs once for each device
        sys.stdout.write(f"{arguments.output}: area {metrics['eval_area']:.4f} on {arguments.validation}\n")
    leave_the_others()
    return 0


def leave_the_others() -> None:
    """End what torchrun's processes share: threads of it that outlive Python can abort the process at its very end."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The exit options that were set by hand."""
    names = [option.name for option in fields(ExitOptions)]
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def training_arguments(output: str, preset: dict[str, Any], extra: list[str]) -> TrainingArguments:
    """transformers' arguments: our defaults, then the preset's, then the flags given by hand.

    Raises:
        InputError: a flag is unknown to transformers too, or its value is not accepted.
    """
    import torch
    from transformers import HfArgumentParser, TrainingArguments

    parser = HfArgumentParser(
        TrainingArguments,  # type: ignore[arg-type]  # transformers wants a NewType that nothing has
        prog="elbert train",
        allow_abbrev=False,
        exit_on_error=False,  # its usage is 200 lines long
    )
    # Progress bars are for terminals; pinned memory is for accelerators.
    here = {"disable_tqdm": not sys.stderr.isatty(), "dataloader_pin_memory": torch.cuda.is_available()}
    parser.set_defaults(**OURS, **here, **preset)
    try:
        parsed, unknown = parser.parse_args_into_dataclasses(
            ["--output_dir", output, *extra], look_for_args_file=False, return_remaining_strings=True
        )
    except (ValueError, argparse.ArgumentError) as error:
        raise InputError(" ".join(str(error).split())) from error
    if unknown:
        raise InputError(
            f"unknown argument {unknown[0]!r}: neither elbert train -h nor transformers' TrainingArguments have it"
        )
    arguments: TrainingArguments = parsed
    if arguments.output_dir != output:
        raise InputError(f"--output_dir {arguments.output_dir}: the folder to write is --output, which is {output}")
    return arguments
