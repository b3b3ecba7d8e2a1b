"""What must hold before a training run begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from transformers import TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from elbert.errors import InputError
from elbert.model.backbone import Backbone
from elbert.model.config import Problem
from elbert.training.options import ExitOptions


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
