"""Settings of a run that follow from the model and the data where the caller sets none: None means this.

``benchmarks/training_defaults.py`` measures what they reach.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from elbert._display import plural
from elbert.training.metrics import has_tolerance

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from elbert.training.options import ExitOptions

FROM_DATA = ("learning_rate", "per_device_train_batch_size", "num_train_epochs")
# The usual rate of BERT-like models of this width. Wider models diverge at it, and narrower ones learn too slowly. At
# width 384, with a head that starts fitted, 1e-4 is better than 3e-4 (TREC-6, 500 rows: 77.4 and 69.8).
BASE_RATE, BASE_WIDTH = 5e-5, 768
MIN_RATE, MAX_RATE = 1e-5, 3e-4
SMALL_BATCH, BATCH = 16, 32
SMALL_DATA = 3_000  # rows up to which the batch is small: an epoch has few steps
ENOUGH_DATA = 5_000  # rows for which the fewest epochs suffice; fewer rows need more epochs
MIN_EPOCHS, MAX_EPOCHS = 3, 20
SHORT, LONG = 128, 256  # tokens at which texts are cut: the first, unless that cuts many; or what the model takes
MOST_CUT = 0.2  # share of the training texts
MAX_ROWS_READ = 300_000  # over all epochs, but one epoch at least: bounds the time for large data


def choose_rate(width: int) -> float:
    """Return the learning rate for a model of this hidden width."""
    rate = BASE_RATE * BASE_WIDTH / width
    return min(max(float(f"{rate:.1g}"), MIN_RATE), MAX_RATE)


def choose_batch(rows: int) -> int:
    """Return the number of rows in a batch of one device."""
    return SMALL_BATCH if rows <= SMALL_DATA else BATCH


def choose_epochs(rows: int, labels: int) -> float:
    """Return the number of epochs: more for fewer rows and more labels, whose exit head learns from fewer rows each."""
    needed = MIN_EPOCHS * math.sqrt(ENOUGH_DATA / max(rows, 1)) * (1 + 0.2 * math.log2(max(labels, 2) / 2))
    return float(min(max(MIN_EPOCHS, min(round(needed), MAX_EPOCHS)), max(1, MAX_ROWS_READ // max(rows, 1))))


def cuts_many(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether more of the training texts are cut than the default allows."""
    return sum(bool(row["truncated"]) for row in rows) > MOST_CUT * len(rows)


def fill_arguments(arguments: TrainingArguments, *, width: int, rows: int, labels: int) -> set[str]:
    """Set the arguments that are None, and return their names."""
    chosen = {name for name in FROM_DATA if getattr(arguments, name) is None}
    values = {
        "learning_rate": choose_rate(width),
        "per_device_train_batch_size": choose_batch(rows),
        "num_train_epochs": choose_epochs(rows, labels),
    }
    for name in chosen:
        setattr(arguments, name, values[name])
    return chosen


def describe_settings(
    arguments: TrainingArguments,
    chosen: set[str],
    options: ExitOptions,
    train: Sequence[Mapping[str, Any]],
    validation: Sequence[Mapping[str, Any]],
    *,
    max_length: int,
) -> list[str]:
    """Return the lines that a run begins with: its settings, and the flags that change them.

    ``chosen`` are the names of what follows from model and data (:func:`fill_arguments`, :func:`cuts_many`).
    """
    from transformers.trainer_utils import SchedulerType

    batch = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    truncated = sum(row["truncated"] for row in train)
    warmup, schedule = arguments.warmup_steps, SchedulerType(arguments.lr_scheduler_type).value
    settings = {
        "data": f"{plural(len(train), 'row')}; validation: {len(validation):,}",
        "training": describe_length(arguments, chosen, math.ceil(len(train) / batch)),
        "learning rate": f"{arguments.learning_rate:g}, {schedule} ({describe_origin('learning_rate', chosen)})",
        "warm-up": f"{warmup:.0%} of the steps (--warmup_steps)" if warmup < 1 else f"{warmup:g} steps",
        "batch": f"{plural(batch, 'row')} ({describe_origin('per_device_train_batch_size', chosen)})",
        "maximum length": f"{max_length} tokens; {truncated / len(train):.0%} of the texts are cut "
        f"({describe_origin('max_length', chosen)})",
        "precision": "bfloat16 (--bf16 false: float32)"
        if arguments.bf16
        else "half (--fp16 false: float32)"
        if arguments.fp16
        else "float32",
        "depths": f"{options.weighting} weights (--weighting)",
        "checkpoint": describe_choice(arguments),
        "early stopping": f"after {options.patience} evaluations that are worse (--patience)",
    }
    if not (options.patience and arguments.load_best_model_at_end):
        del settings["early stopping"]
    return [f"{name:<15} {value}" for name, value in settings.items()]


def describe_choice(arguments: TrainingArguments) -> str:
    """Return which checkpoint is written."""
    if not arguments.load_best_model_at_end:
        return "the last"
    chosen = str(arguments.metric_for_best_model)
    if not has_tolerance(chosen):
        return f"the best by {chosen} (--metric_for_best_model)"
    return "the latest whose mean over depths is within a standard error of the best (--metric_for_best_model)"


def describe_origin(name: str, chosen: set[str]) -> str:
    """Return where a value comes from, and its flag."""
    flag = "--max-length" if name == "max_length" else f"--{name}"
    by = "width of the model" if name == "learning_rate" else "data"
    return f"by the {by}; {flag}" if name in chosen else flag


def describe_length(arguments: TrainingArguments, chosen: set[str], epoch: int) -> str:
    """Return how long a run with ``epoch`` steps an epoch is."""
    if arguments.max_steps > 0:
        return f"{arguments.max_steps:,} steps (--max_steps)"
    epochs = arguments.num_train_epochs
    origin = describe_origin("num_train_epochs", chosen)
    return f"{epochs:g} epochs of {epoch:,} steps, {math.ceil(epoch * epochs):,} in all ({origin})"
