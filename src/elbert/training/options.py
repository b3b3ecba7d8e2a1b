"""What is set about exits when training; transformers' TrainingArguments set the rest."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, get_args

from elbert.errors import InputError
from elbert.model.config import Pooling

WEIGHTINGS = ("learned", "equal", "linear")
SCHEDULES = ("constant", "same")


@dataclass(frozen=True)
class ExitOptions:
    """How the depths are weighed and read in training (Xie et al. 2021, section 2.3)."""

    weighting: str = field(
        default="equal", metadata={"choices": WEIGHTINGS, "help": "how much each depth's loss counts"}
    )
    weight_floor: float = field(default=0.1, metadata={"help": "learned weighting: no depth weighs less (0: no floor)"})
    weight_rate: float = field(default=1e-2, metadata={"help": "learned weighting: learning rate of its parameters"})
    weight_schedule: str = field(
        default="constant", metadata={"choices": SCHEDULES, "help": "of that rate: constant, or the network's own"}
    )
    distillation: float = field(
        default=0.0, metadata={"help": "share of each earlier depth's loss that is taught by the last depth, 0 to 1"}
    )
    temperature: float = field(default=1.0, metadata={"help": "of that teaching"})
    pooling: str | None = field(
        default=None,
        metadata={
            "choices": get_args(Pooling),
            "help": "what the exit head reads: [CLS] (ALBERT's own) or the mean of the tokens; as the model has it",
        },
    )
    exit_heads: int | None = field(
        default=None, metadata={"help": "1: one head for all depths; k: one per block of depths (an ablation)"}
    )

    def __post_init__(self) -> None:
        """Hold every option to its range."""
        for option in fields(self):
            choices, value = option.metadata.get("choices"), getattr(self, option.name)
            if choices and value is not None and value not in choices:
                raise InputError(f"{option.name} is {value!r}, expected one of {', '.join(choices)}")
        for name, low, high in (("weight_floor", 0, 1), ("distillation", 0, 1)):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} is {getattr(self, name)!r}, expected a number from {low} to {high}")
        for name in ("weight_rate", "temperature"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)!r}, expected a number above 0")
        if self.exit_heads is not None and self.exit_heads < 1:
            raise InputError(f"exit_heads is {self.exit_heads!r}, expected a whole number from 1")


# What a preset sets: first the exit options, then transformers' arguments. Flags given by hand win over both.
PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": (
        {},
        {
            "learning_rate": 3e-5,
            "per_device_train_batch_size": 32,
            "num_train_epochs": 3.0,
            "warmup_steps": 0.1,  # a share of all steps; ALBERT collapses at a high rate from a cold start
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
        },
        {
            "learning_rate": 3e-5,
            "per_device_train_batch_size": 32,
            "num_train_epochs": 3.0,
            "warmup_steps": 0,
            "weight_decay": 0.0,
            "max_grad_norm": 1.0,
            "lr_scheduler_type": "linear",
        },
    ),
}
