"""Checks before training begins: what can only fail later, after hours, is found here and reported in one line."""
# ruff: noqa: E402

from __future__ import annotations

import errno
import math
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from elbert._display import plural
from elbert._optional import require

require("transformers", "train")  # before the imports below, so that the error names the remedy

import torch
from rich.console import Console
from safetensors import SafetensorError
from transformers import TrainingArguments
from transformers.integrations.integration_utils import get_available_reporting_integrations
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from elbert.errors import ElbertError, InputError
from elbert.model.families import Backbone
from elbert.tasks import TASKS, Task

MAX_MESSAGE = 300  # characters of another library's error
MAX_SEED = 2**32 - 1  # numpy's
TRAINER_STATE = "trainer_state.json"  # the last file but one of a checkpoint
TORCH_WRITERS = ("PytorchStreamWriter", "inline_container", "iostream error")  # in messages of torch.save
WRITE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})

Check = tuple[Callable[[Any], bool], str]


def _at_least(low: float) -> Check:
    return lambda value: math.isfinite(value) and value >= low, f"a number from {low}"


def _within(low: float, high: float) -> Check:
    return lambda value: low <= value <= high, f"a number from {low} to {high}"


# What transformers accepts and its loop then fails at, or trains nothing with. None is not checked.
RANGES: dict[str, Check] = {
    "per_device_train_batch_size": _at_least(1),
    "per_device_eval_batch_size": _at_least(1),
    "gradient_accumulation_steps": _at_least(1),
    "eval_accumulation_steps": _at_least(1),
    "logging_steps": (lambda value: value > 0, "a number above 0"),
    "eval_steps": (lambda value: value > 0, "a number above 0"),
    "save_steps": (lambda value: value > 0, "a number above 0"),
    "save_total_limit": _at_least(1),
    "max_steps": (lambda value: value == -1 or value >= 1, "a whole number from 1, or -1 for none"),
    "learning_rate": _at_least(0),
    "weight_decay": _at_least(0),
    "warmup_steps": _at_least(0),
    "max_grad_norm": _at_least(0),
    "eval_delay": _at_least(0),
    "adam_epsilon": _at_least(0),
    "adam_beta1": (lambda value: 0 <= value < 1, "a number from 0, below 1"),
    "adam_beta2": (lambda value: 0 <= value < 1, "a number from 0, below 1"),
    "label_smoothing_factor": _within(0, 1),
    "dataloader_num_workers": _at_least(0),
    "seed": _within(0, MAX_SEED),
    "data_seed": _within(0, MAX_SEED),
}
# What the score of every depth needs.
REQUIRED: dict[str, Any] = {
    "prediction_loss_only": False,
    "batch_eval_metrics": False,
    "eval_do_concat_batches": True,
    "label_names": ["labels"],
}


def check_arguments(arguments: TrainingArguments) -> None:
    """Check the values of transformers' arguments that nothing else checks before training.

    Raises:
        InputError: a value is out of range, or training at every depth does not work with it.
    """
    for name, (is_valid, expected) in RANGES.items():
        value = getattr(arguments, name, None)
        if value is not None and not (isinstance(value, int | float) and is_valid(value)):
            raise InputError(f"{name} is {value!r}, expected {expected}")
    epochs = 1.0 if arguments.num_train_epochs is None else arguments.num_train_epochs  # None: chosen from the data
    if arguments.max_steps < 1 and not (math.isfinite(epochs) and epochs > 0):
        raise InputError(f"num_train_epochs is {arguments.num_train_epochs!r}, expected a number above 0")
    if wrong := [part for part in (arguments.optim_args or "").split(",") if part and part.count("=") != 1]:
        raise InputError(f"optim_args has {wrong[0]!r}, expected name=value, joined by commas")
    available = get_available_reporting_integrations()  # type: ignore[no-untyped-call]  # transformers' own
    if missing := [name for name in arguments.report_to or () if name not in available]:
        raise InputError(
            f"report_to is {missing[0]!r}, which is unknown or not installed; "
            f"expected none, or one of those installed: {', '.join(available) or 'there are none'}"
        )
    for name, value in REQUIRED.items():
        if getattr(arguments, name) != value:
            raise InputError(
                f"{name} is {getattr(arguments, name)!r}, and the score of every depth needs {value!r}: omit it"
            )


def check_batches(arguments: TrainingArguments, train: Sequence[Any], validation: Sequence[Any]) -> None:
    """Check that there is a whole batch of either file where others are dropped."""
    if not arguments.dataloader_drop_last:
        return
    for name, examples, size in (
        ("per_device_train_batch_size", train, arguments.train_batch_size),
        ("per_device_eval_batch_size", validation, arguments.eval_batch_size),
    ):
        if len(examples) < size * arguments.world_size:
            raise InputError(
                f"{plural(len(examples), 'example is', 'examples are')} too few for one batch, and others are dropped: "
                f"lower --{name}"
            )


def check_metric(arguments: TrainingArguments, names: Sequence[str]) -> None:
    """Check that the metric that chooses the best checkpoint is among ``names``."""
    chosen = arguments.metric_for_best_model
    if chosen is not None and chosen.removeprefix("eval_") not in names:
        raise InputError(f"metric_for_best_model is {chosen!r}, expected one of {', '.join(names)}")


def check_output(output: Path, resume: str | None) -> None:
    """Check that the folder can be written, that no model is overwritten, and that two runs' checkpoints do not mix."""
    existing = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written ({error.strerror or error}); choose another --output, or check {existing}"
        ) from error
    if resume is not None:
        return
    if (output / "config.json").exists():
        raise InputError(f"{output} already holds a model: choose another --output, or remove it first")
    if find_checkpoints(output):
        raise InputError(
            f"{output} holds checkpoints of an earlier run: --resume_from_checkpoint last continues it; "
            "or choose another --output"
        )


def check_labels(labels: Sequence[str], task: Task, smoothing: float) -> None:
    """Check that the labels fit the task."""
    task.check_labels(labels)
    if "" in labels or len(set(labels)) < len(labels):
        raise InputError(f"labels are {', '.join(map(repr, labels))}; expected distinct names")
    if smoothing and not task.takes_smoothing:
        fits = ", ".join(task.title for task in TASKS.values() if task.takes_smoothing)
        raise InputError(f"label_smoothing_factor is for {fits} only, and this is {task.title}")


def check_heads(pooling: str | None, exit_heads: int | None, backbone: Backbone) -> None:
    """Check that the family's ``config.json`` can express the exit heads."""
    for name, value, default in (("pooling", pooling, "cls"), ("exit_heads", exit_heads, 1)):
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
        if not (Path(checkpoint) / TRAINER_STATE).is_file():
            raise InputError(f"{checkpoint}: no checkpoint; give the folder of one, checkpoint-…, or last")
        return checkpoint
    complete = [folder for folder in find_checkpoints(output) if (folder / TRAINER_STATE).is_file()]
    if not complete:
        raise InputError(f"{output}: no checkpoint to resume from; omit --resume_from_checkpoint to start anew")
    return str(complete[-1])


def find_checkpoints(output: Path) -> list[Path]:
    """Return the checkpoints in a folder, the latest last; a process that was killed may have left a part of one."""
    folders = output.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if output.is_dir() else ()
    numbered = [(int(step), folder) for folder in folders if (step := folder.name.rpartition("-")[2]).isdecimal()]
    return [folder for _, folder in sorted(numbered) if folder.is_dir()]


@contextmanager
def report_rejected(what: str, has_begun: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Turn an error of another library inside the block into one line that begins with ``what``.

    Once ``has_begun()`` is true, the arguments are not its cause, and it is raised as it is.

    Raises:
        InputError: the block raised an error that is not one of ours.
    """
    try:
        yield
    except (ElbertError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if has_begun() or is_write_error(error):
            raise
        raise InputError(f"{what}: {describe_error(error)}") from error


@contextmanager
def report_lost_resources(output: Path) -> Iterator[None]:
    """Turn a full disk, and memory that does not suffice, into one line with the remedy.

    Raises:
        InputError: nothing more can be written to ``output``, or a batch needs more memory than there is.
    """
    try:
        yield
    except ElbertError:
        raise
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"the device has too little memory ({describe_error(error)}); "
            "lower --per_device_train_batch_size or --per_device_eval_batch_size"
        ) from error
    except Exception as error:
        if not is_write_error(error):
            raise
        raise InputError(
            f"{output}: cannot be written, the disk is probably full ({describe_error(error)}); "
            "free some space, then --resume_from_checkpoint last continues from the last checkpoint, if there is one"
        ) from error


def is_write_error(error: Exception) -> bool:
    """Whether a file could not be written. The libraries that write weights have error classes of their own."""
    if isinstance(error, OSError):
        return error.errno in WRITE_ERRORS
    if isinstance(error, SafetensorError):
        return "os error" in str(error)
    return isinstance(error, RuntimeError) and any(name in str(error) for name in TORCH_WRITERS)


def describe_error(error: Exception) -> str:
    """Return the kind and the message of an error in one line."""
    message = " ".join(str(error).split())
    if isinstance(error, PackageNotFoundError) and (name := re.search(r"'([\w.-]+)[^']*'", message)):
        return f"the package {name[1]} is not installed"
    return f"{type(error).__name__}: {message}"[:MAX_MESSAGE] if message else type(error).__name__
