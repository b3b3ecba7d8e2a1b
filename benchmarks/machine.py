"""What a benchmark's result must carry to be worth keeping: machine, versions, command."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch

from elbert.cli.commands.env import collect_facts
from elbert.model.isolation import use_threads

RESULTS = Path(__file__).parent / "results"
PROJECT = Path(__file__).parents[1]
SWITCHES = (  # variables of the environment that change what is measured
    "ELBERT_NATIVE",
    "ONEDNN_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    "MKL_ENABLE_INSTRUCTIONS",
    "OMP_NUM_THREADS",
)


class Taken:
    """How much of the machine its host takes away from now on: Linux's ``steal``."""

    def __init__(self) -> None:
        self._begin = _ticks()

    @property
    def share(self) -> float:
        """Of all processor time so far; 0 where the system does not report it."""
        stolen, whole = (now - then for now, then in zip(_ticks(), self._begin, strict=True))
        return stolen / whole if whole else 0.0


def _ticks() -> tuple[int, int]:
    """Stolen, and all, since the machine started."""
    try:
        ticks = list(map(int, Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]))
    except OSError:
        return 0, 0
    return ticks[7], sum(ticks)


def pace(times: int = 9) -> float:
    """Seconds of a fixed product on one thread at this moment, the median of some."""
    with use_threads(1):
        matrix, taken = torch.ones(256, 256), list[float]()
        for _ in range(times):
            begin = time.perf_counter()
            for _ in range(4):
                matrix @ matrix
            taken.append(time.perf_counter() - begin)
    return median(taken)


def add_processor_option(parser: ArgumentParser) -> None:
    """Add the option that keeps the results of several kinds of processor apart."""
    parser.add_argument("--processor", help="a word for another kind of processor, in the name of the result")


def keep(name: str, result: dict[str, Any]) -> Path:
    """Write ``results/NAME.json`` with the machine, the versions and the command beside the figures."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(describe() | {"result": result}, indent=2) + "\n", encoding="utf-8")
    return path


def describe() -> dict[str, Any]:
    """Date, command, machine and versions."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": describe_command(sys.argv, os.environ),
        "machine": collect_facts(),
    }


def describe_command(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The command for a shell, with the variables that change what is measured."""
    switches = [f"{name}={shlex.quote(environment[name])}" for name in SWITCHES if name in environment]
    return " ".join([*switches, "python", shlex.join(map(shorten_path, arguments))])


def shorten_path(argument: str) -> str:
    """A path within the project relative to it, another one as its last two parts; what is no path as it is."""
    path = Path(argument).resolve()
    if path.is_relative_to(PROJECT) and path.exists():
        return path.relative_to(PROJECT).as_posix()
    return "/".join(path.parts[-2:]) if path.exists() or Path(argument).is_absolute() else argument
