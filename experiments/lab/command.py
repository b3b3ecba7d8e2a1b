"""What every command of the experiments shares: its arguments, its output and its errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from elbert.errors import ElbertError
from lab.fit import Machine
from lab.parts import Prepared, prepare
from lab.places import Places
from lab.runs import Base, Run, format_command, make
from lab.sets import DataSet, find_sets, with_training
from lab.variants import parse_variant


def build_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the folders in it."""
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = Places()
    found.add_argument("--data-dir", type=Path, default=usual.data, metavar="DIR", help="the sets as published")
    found.add_argument("--work", type=Path, default=usual.work, metavar="DIR", help="what can be made again")
    found.add_argument("--results", type=Path, default=usual.results, metavar="DIR", help="what is kept")
    return found


def build_places(arguments: argparse.Namespace) -> Places:
    """The folders from the arguments."""
    return Places(arguments.data_dir, arguments.work, arguments.results)


def print_line(line: str) -> None:
    """Print a line; it is flushed, so that a log file shows it at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run_command(main: Callable[[list[str] | None], None]) -> None:
    """Run a command; an error is one line."""
    try:
        main(None)
    except ElbertError as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on") from None


def add_base(reader: argparse.ArgumentParser) -> None:
    """What a run starts from."""
    reader.add_argument(
        "--base",
        type=Path,
        metavar="DIR",
        help="folder of the encoder (default: the bundled model; with --data models/base)",
    )
    reader.add_argument("--saw", nargs="*", metavar="SET", help="sets that the base was trained on with their labels")
    reader.add_argument("--epochs", type=float, help="instead of the table's, for every set")
    reader.add_argument("--rate", type=float, help="instead of the table's, for every set")


def add_machine(reader: argparse.ArgumentParser) -> None:
    """How the machine is used."""
    reader.add_argument("--threads", type=int, metavar="N")
    reader.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    reader.add_argument("--bf16", default="auto", choices=("auto", "yes", "no"), help="auto: where it is done well")


def open_base(arguments: argparse.Namespace) -> Base:
    """The base that was named."""
    return Base.open(arguments.base, arguments.saw)


def build_machine(arguments: argparse.Namespace) -> Machine:
    """How the machine is used, from the arguments."""
    return Machine(arguments.device, arguments.threads, arguments.bf16)


def select_sets(arguments: argparse.Namespace, names: Iterable[str]) -> list[DataSet]:
    """The sets of those names, with the epochs and the rate of the arguments."""
    return [with_training(data, arguments.epochs, arguments.rate) for data in find_sets(list(names))]


@cache
def prepare_once(data: DataSet, places: Places) -> Prepared:
    """A set's parts; cut, and its source read, once a process."""
    return prepare(data, places)


def build_runs(
    data: Iterable[DataSet], variants: Iterable[str], seeds: Iterable[int], start: Base, places: Places
) -> list[Run]:
    """Every run of these, set by set, seed by seed."""
    ways, numbers = [parse_variant(name, start.depths) for name in variants], list(seeds)
    return [
        Run(prepare_once(each, places), way, seed, start, places) for each in data for seed in numbers for way in ways
    ]


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
    return make(run, build_machine(arguments), keep_model=keep_model, command=format_command("run.py", words))
