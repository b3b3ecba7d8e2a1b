"""Arguments for the base, the training settings and the machine of a run."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from lab.base import Base
from lab.fit import Machine
from lab.places import Places
from lab.prepare import Prepared, prepare
from lab.runs import Run, command_of, make
from lab.sets import DataSet, changed, named
from lab.variants import variant


def add_base(reader: argparse.ArgumentParser) -> None:
    """What a run starts from."""
    reader.add_argument("--base", type=Path, metavar="DIR", help="folder of the encoder (default: the bundled model)")
    reader.add_argument("--saw", nargs="*", metavar="SET", help="sets that the base was trained on with their labels")
    reader.add_argument("--epochs", type=float, help="instead of the table's, for every set")
    reader.add_argument("--rate", type=float, help="instead of the table's, for every set")


def add_machine(reader: argparse.ArgumentParser) -> None:
    """How the machine is used."""
    reader.add_argument("--threads", type=int, metavar="N")
    reader.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    reader.add_argument("--bf16", default="auto", choices=("auto", "yes", "no"), help="auto: where it is done well")


def base(arguments: argparse.Namespace) -> Base:
    """The base that was named."""
    return Base.open(arguments.base, arguments.saw)


def machine(arguments: argparse.Namespace) -> Machine:
    """How the machine is used, from the arguments."""
    return Machine(arguments.device, arguments.threads, arguments.bf16)


def sets(arguments: argparse.Namespace, names: Iterable[str]) -> list[DataSet]:
    """The sets of those names, with the epochs and the rate of the arguments."""
    return [changed(data, arguments.epochs, arguments.rate) for data in named(list(names))]


@cache
def prepared(data: DataSet, places: Places) -> Prepared:
    """A set's parts; cut, and its source read, once a process."""
    return prepare(data, places)


def runs(
    data: Iterable[DataSet], variants: Iterable[str], seeds: Iterable[int], start: Base, places: Places
) -> list[Run]:
    """Every run of these, set by set, seed by seed."""
    ways, numbers = [variant(name, start.depths) for name in variants], list(seeds)
    return [Run(prepared(each, places), way, seed, start, places) for each in data for seed in numbers for way in ways]


def make_one(run: Run, arguments: argparse.Namespace, *, keep_model: bool = False) -> dict[str, Any]:
    """Make a run and note the one command that makes it alone; the wall-clock study needs the model of seed 0."""
    words = [
        ("set", run.prepared.data.name),
        ("variant", run.variant.name),
        ("seed", run.seed),
        *((name, getattr(arguments, name)) for name in ("base", "epochs", "rate", "threads")),
    ]
    words += [("saw", " ".join(arguments.saw))] if arguments.saw else []
    words += [("device", arguments.device)] if arguments.device != "cpu" else []
    keep_model = keep_model or (run.seed == 0 and not run.variant.plain)
    return make(run, machine(arguments), keep_model=keep_model, command=command_of("run.py", words))
