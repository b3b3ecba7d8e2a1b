"""``elbert train``: train an ALBERT to answer at every depth."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from typing import Any

from elbert._task_titles import TITLES
from elbert.cli.flags import output_folder
from elbert.cli.inputs import SkippedRows, add_column_options, add_skip_bad, choose_columns
from elbert.training.arguments import USUAL_NAMES, make_parser, parse_arguments
from elbert.training.options import HELD_OUT, PRESETS, ExitOptions

__all__ = ["USUAL_NAMES", "add_arguments", "list_more_flags", "run"]
TAKES_MORE = True  # every flag of transformers' TrainingArguments


def list_more_flags() -> list[str]:
    """Return the flags that are transformers'.

    Raises:
        MissingExtra: transformers is not installed.
    """
    from elbert._optional import require

    require("transformers", "train")
    return list(make_parser()._option_string_actions)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert train``; those about exits come from ``ExitOptions``."""
    parser.add_argument(
        "--model",
        required=True,
        metavar="M",
        help="folder or hub id of an ALBERT or BERT-like encoder or classifier, or bundled",
    )
    parser.add_argument("--train", required=True, metavar="FILE", help="labelled csv, tsv, jsonl or parquet file")
    parser.add_argument(
        "--validation",
        default=HELD_OUT,
        metavar="FILE",
        help="labelled file of the same formats; chooses the checkpoint, the latest whose mean score over depths is "
        f"within a standard error of the best (default: {HELD_OUT:.0%}% of the training file, held out)",
    )
    add_column_options(parser)
    add_skip_bad(parser)
    parser.add_argument(
        "--output", required=True, metavar="DIR", type=output_folder, help="folder for the model and its checkpoints"
    )
    parser.add_argument(
        "--labels", metavar="A,B,…", help="label names in index order (default: those of the training file)"
    )
    parser.add_argument("--problem", "--task", choices=TITLES, default=TITLES[0], help="task (default: %(default)s)")
    parser.add_argument(
        "--max-length",
        type=int,
        metavar="N",
        help="maximum number of tokens; longer texts are truncated (default: 128, or 256 if that cuts more than a "
        "fifth of the training texts, and no more than the model takes)",
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="default",
        help="preset of options; default: learning rate, batch and epochs by width and size of the data; paper: as "
        "published (default: %(default)s)",
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
    from elbert.data import ignore_bad
    from elbert.tasks import TASKS

    exit_preset, trainer_preset = PRESETS[arguments.preset]
    options = ExitOptions(**(exit_preset | exit_options(arguments)))
    columns = choose_columns(arguments)
    task = next(task for task in TASKS.values() if task.title == arguments.problem)
    if task.fixed_labels:
        labels = list(task.fixed_labels)
    elif arguments.labels:
        labels = [name.strip() for name in arguments.labels.split(",")]
    else:
        # A wrong column fails at once. Rows that are skipped are reported where they are loaded.
        ignore = ignore_bad if arguments.skip_bad else None
        labels = task.read_names(arguments.train, str(arguments.train), columns, ignore)
    for module in ("transformers", "accelerate"):
        require(module, "train")
    from elbert.training.depth_report import describe_scores
    from elbert.training.run import train

    skipped = SkippedRows()
    trainer_arguments = parse_arguments(str(arguments.output), trainer_preset, extra or [])
    metrics = train(
        arguments.model,
        arguments.train,
        arguments.validation,
        labels,
        options,
        trainer_arguments,
        problem=task.name,
        max_length=arguments.max_length,
        columns=columns,
        skip_bad=skipped.skip if arguments.skip_bad else None,
    )
    skipped.report("all others used")
    is_held_out = isinstance(arguments.validation, float)
    validation = f"{arguments.validation:.0%} of {arguments.train}" if is_held_out else arguments.validation
    if trainer_arguments.process_index == 0:  # under torchrun this command runs once for each device
        sys.stdout.write(f"{arguments.output}: {describe_scores(metrics, task)}, on {validation}\n")
    return 0


def exit_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the exit options that the command line sets."""
    names = [option.name for option in fields(ExitOptions)]
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
