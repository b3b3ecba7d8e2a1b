"""Options of training that transformers' TrainingArguments does not have: most concern exits."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from elbert.errors import InputError


def option(default: Any, kind: type, help_text: str, choices: tuple[str, ...] | None = None) -> Any:
    """Return a dataclass field with the type, help and choices of its command-line flag."""
    return field(default=default, metadata={"kind": kind, "help": help_text, "choices": choices})


HELD_OUT = 0.1  # share of the training data that chooses the checkpoint where there is no validation data


@dataclass(frozen=True)
class ExitOptions:
    """Weighting of the depths' losses and form of the exit head (Xie et al. 2021, section 2.3)."""

    weighting: str = option(
        "equal", str, "weighting of the depths' losses", ("learned", "equal", "linear", "last-heavy")
    )
    last_share: float = option(1 / 3, float, "last-heavy weighting: the share of the last depth; the others are equal")
    weight_floor: float = option(0.1, float, "learned weighting: minimum weight of a depth (0: no minimum)")
    weight_rate: float = option(1e-2, float, "learned weighting: learning rate of the weights")
    weight_schedule: str = option(
        "constant",
        str,
        "learned weighting: schedule of that rate, constant or the same as the network's",
        ("constant", "same"),
    )
    distillation: float = option(
        0.0, float, "share of each earlier depth's loss that is distillation from the last depth, 0 to 1"
    )
    temperature: float = option(1.0, float, "temperature of the distillation")
    pooling: str | None = option(
        None, str, "input of the exit head: [CLS] (ALBERT's default) or the mean of the tokens", ("cls", "mean")
    )
    exit_heads: int | None = option(
        None, int, "number of exit heads: 1 for all depths, or k for as many blocks of depths (an ablation)"
    )
    head_start: str = option(
        "fitted",
        str,
        "start of a new exit head: a linear fit of the labels on the encoder's states, or random weights",
        ("fitted", "random"),
    )
    patience: int = option(
        5, int, "evaluations in a row that are worse than the best before training stops early (0: never)"
    )

    def __post_init__(self) -> None:
        """Check the range of every option."""
        for setting in fields(self):
            choices, value = setting.metadata["choices"], getattr(self, setting.name)
            if choices and value is not None and value not in choices:
                raise InputError(f"{setting.name} is {value!r}, expected one of {', '.join(choices)}")
        for name, low, high in (("weight_floor", 0, 1), ("last_share", 0, 1), ("distillation", 0, 1)):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} is {getattr(self, name)!r}, expected a number from {low} to {high}")
        for name in ("weight_rate", "temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)!r}, expected a number above 0")
        if self.exit_heads is not None and self.exit_heads < 1:
            raise InputError(f"exit_heads is {self.exit_heads!r}, expected a whole number from 1")
        if self.patience < 0:
            raise InputError(f"patience is {self.patience!r}, expected a whole number from 0")


# By preset: exit options, then transformers' arguments. Flags of the command line take precedence over both.
PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": (
        {},
        {
            "learning_rate": None,  # None: from the model and the data (defaults.py)
            "per_device_train_batch_size": None,
            "num_train_epochs": None,
            "warmup_steps": 0.1,  # a share of all steps; ALBERT collapses at a high rate from a cold start
            "train_sampling_strategy": "group_by_length",  # less padding: a third off the time of short texts
        },
    ),
    "paper": (
        {
            "weighting": "learned",
            "weight_floor": 0.0,
            "weight_rate": 1e-2,
            "weight_schedule": "constant",
            "distillation": 0.0,
            "pooling": "cls",
            "exit_heads": 1,
            "head_start": "random",
            "patience": 0,
        },
        {
            "learning_rate": 3e-5,
            "per_device_train_batch_size": 32,
            "num_train_epochs": 3.0,
            "warmup_steps": 0,
            "weight_decay": 0.0,
            "max_grad_norm": 1.0,
            "lr_scheduler_type": "linear",
            "bf16": False,
        },
    ),
}
