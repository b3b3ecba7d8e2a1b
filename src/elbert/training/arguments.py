"""Arguments of a training run: transformers' TrainingArguments with our defaults, from flags or from Python."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from elbert._display import suggest
from elbert._progress import is_interactive
from elbert.errors import InputError
from elbert.training.options import PRESETS, ExitOptions

if TYPE_CHECKING:
    from transformers import HfArgumentParser, TrainingArguments

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

MOST_CHOICES = 12  # that an error lists
USUAL_NAMES = {  # names of other libraries, which errors about unknown options compare too
    "lr": "learning_rate",
    "epochs": "num_train_epochs",
    "steps": "max_steps",
    "batch": "per_device_train_batch_size",
    "batch_size": "per_device_train_batch_size",
    "warmup": "warmup_steps",
    "device": "use_cpu",
    "val": "validation",
    "dev": "validation",
}


def make_parser() -> HfArgumentParser:
    """Return the parser of every flag of transformers' TrainingArguments."""
    from transformers import HfArgumentParser, TrainingArguments

    return HfArgumentParser(
        TrainingArguments,  # type: ignore[arg-type]  # transformers expects a NewType that no class has
        prog="elbert train",
        allow_abbrev=False,
        exit_on_error=False,  # its usage is 200 lines long
    )


def parse_arguments(output: str, preset: Mapping[str, Any], flags: Sequence[str]) -> TrainingArguments:
    """Return transformers' arguments: our defaults, overridden by the preset, overridden by flags.

    Raises:
        InputError: a flag is unknown to transformers too, or its value is not accepted.
    """
    parser = make_parser()
    has_fp16 = any(flag.partition("=")[0] == "--fp16" for flag in flags)
    parser.set_defaults(**{**DEFAULTS, **machine_defaults(has_fp16=has_fp16), **preset})
    try:
        parsed, unknown = parser.parse_args_into_dataclasses(
            ["--output_dir", output, *flags], look_for_args_file=False, return_remaining_strings=True
        )
    except (ValueError, argparse.ArgumentError) as error:
        raise _explained(error) from error
    except Exception as error:  # a package or a file that an argument needs is not there, a device is unknown, …
        raise _rejected(error) from error
    if unknown:
        raise InputError(
            f"unknown argument {unknown[0]!r}: neither elbert train -h nor transformers' TrainingArguments have it"
        )
    arguments: TrainingArguments = parsed
    if arguments.output_dir != output:
        raise InputError(f"--output_dir {arguments.output_dir}: the folder to write is --output, which is {output}")
    return arguments


def make_arguments(output: str, preset: str, options: Mapping[str, Any]) -> tuple[ExitOptions, TrainingArguments]:
    """Return exit options and transformers' arguments from values by name, which override those of the preset.

    Raises:
        InputError: there is no such preset or option, or a value is not accepted.
    """
    from transformers import TrainingArguments

    if preset not in PRESETS:
        raise InputError(f"preset is {preset!r:.80}, expected one of {', '.join(PRESETS)}")
    exit_preset, trainer_preset = PRESETS[preset]
    ours = {option.name for option in fields(ExitOptions)}
    theirs = {option.name for option in fields(TrainingArguments) if option.init} - {"output_dir"}
    for name in options:
        if name not in ours | theirs:
            closest = suggest(name, {known: known for known in (*ours, *theirs)} | USUAL_NAMES, 1)
            raise InputError(
                f"unknown option {name!r:.80}{closest}; expected an exit option or one of transformers' "
                "TrainingArguments"
            )
    chosen = {name: value for name, value in options.items() if name in theirs}
    values: dict[str, Any] = {
        **DEFAULTS,
        **machine_defaults(has_fp16=bool(options.get("fp16"))),
        **trainer_preset,
        **chosen,
    }
    try:
        exits = ExitOptions(**(exit_preset | {name: value for name, value in options.items() if name in ours}))
        return exits, TrainingArguments(output_dir=output, **values)
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        raise _explained(error) from error
    except Exception as error:
        raise _rejected(error) from error


def machine_defaults(*, has_fp16: bool) -> dict[str, Any]:
    """Return defaults that depend on this machine: bars are for terminals, pinned memory is for accelerators, and
    bfloat16, which halves the time, is for processors and devices that compute it well.
    """
    import torch

    from elbert.model.precision import is_fast

    has_cuda = torch.cuda.is_available()
    is_cpu = not has_cuda and not torch.backends.mps.is_available()
    return {
        "disable_tqdm": not is_interactive(),
        "dataloader_pin_memory": has_cuda,
        "bf16": not has_fp16
        and (is_cpu or has_cuda)
        and is_fast("bfloat16", torch.device("cuda" if has_cuda else "cpu")),
        "use_cpu": is_cpu,  # transformers computes in bfloat16 on a processor only with this
    }


def _explained(error: Exception) -> InputError:
    """Return transformers' error in one line; where it is about a default of ours, in words about what was given."""
    message = " ".join(str(error).split())
    if choice := re.fullmatch(r"argument (--\S+): invalid choice: '?(.*?)'? \(choose from (.*)\)", message):
        flag, value, names = choice[1], choice[2], re.findall(r"[^\s',]+", choice[3])
        some = ", ".join(names[:MOST_CHOICES]) + (", …" if len(names) > MOST_CHOICES else "")
        return InputError(f"{flag} is {value!r}{suggest(value, {n: n for n in names}, 1)}; expected one of {some}")
    if "requires the save and eval strategy to match" in message:
        message = (
            "save_strategy and eval_strategy differ, and the best checkpoint is kept only where it is evaluated and "
            "saved at once: expected the same for both, or load_best_model_at_end false, which keeps the last one"
        )
    return InputError(message)


def _rejected(error: Exception) -> InputError:
    from elbert.training.checks import describe_error

    return InputError(f"transformers rejects an argument: {describe_error(error)}")
