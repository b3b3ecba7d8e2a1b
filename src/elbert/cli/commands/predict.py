"""``elbert predict --ray``: the same answers, from the actors of a cluster."""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from elbert.cli.flags import add_model_options, load_classifier
from elbert.cli.inputs import BadRows
from elbert.cli.render.prediction_writers import JsonLines, Summary, TableLines, Writer, progress
from elbert.cli.streams import own_stdin
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.data import Example
    from elbert.prediction import Prediction


Answers = tuple[int, "Iterator[tuple[Example, Prediction]]"]  # how deep texts can go; what is said of each


def add_ray_options(parser: argparse.ArgumentParser) -> None:
    """``--ray`` and how many actors."""
    told = "on a Ray cluster: HOST:PORT, ray://HOST:PORT, or unsaid the one that this machine is part of, or its own"
    parser.add_argument("--ray", nargs="?", const="", metavar="ADDRESS", help=told)
    parser.add_argument("--actors", metavar="N|N-M", help="with --ray: processes that hold a model (unsaid: 1 to all)")


@contextmanager
def on_ray(arguments: argparse.Namespace, bad: BadRows) -> Iterator[Answers]:
    """How deep texts can go, and the answers of a cluster's actors.

    Raises:
        InputError: an option is not acceptable, or there is no cluster.
        MissingExtra: Ray is not installed.
    """
    from elbert.bundle import Bundle
    from elbert.ray.bulk import predict, results
    from elbert.ray.cluster import joined, ray

    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # read when Ray is loaded; the rest is in its own files
    ray()
    actors = range_of(arguments.actors)
    bundle = Bundle.open(arguments.model)
    source = named(arguments)
    with joined(arguments.ray or None):
        answered = predict(
            given(arguments),
            arguments.model,
            arguments.policy,
            scores=arguments.scores,
            trace=arguments.trace,
            keep_bad=True,
            actors=actors,
            device=arguments.device,
            threads=arguments.threads,
            dtype=arguments.dtype,
            max_rows=arguments.max_rows,
            max_tokens=arguments.max_tokens,
            strict=arguments.strict,
        )
        yield bundle.config.depths, results(answered, source, bad.skip if arguments.skip_bad else None)


def named(arguments: argparse.Namespace) -> str:
    """What the input is called in what is told of it.

    Raises:
        DataError: there is no such file: told before a cluster is waited for.
    """
    from elbert.data import parts_of

    if arguments.texts:
        return "argument"
    if arguments.input == "-":
        return "<stdin>"
    parts_of(arguments.input, 1)
    return str(arguments.input)


def given(arguments: argparse.Namespace) -> Any:
    """What is to be answered, as a dataset: a file is read by workers, what only this process has goes to them."""
    from elbert.ray.dataset_files import dataset_of, dataset_of_rows, row_of, rows
    from elbert.texts import checked

    if arguments.texts:
        for number, text in enumerate(arguments.texts):
            checked(text, number)
        return dataset_of_rows(row_of(example) for example in of_arguments(arguments.texts))
    if arguments.input == "-":
        return dataset_of_rows(rows("-", None, own_stdin()))
    return dataset_of(arguments.input)


def of_arguments(texts: Sequence[str]) -> list[Example]:
    """Texts of the command line."""
    from elbert.data import Example

    return [Example(text, None, None, line, "argument") for line, text in enumerate(texts, 1)]


def range_of(said: str | None) -> tuple[int, int] | None:
    """How many actors.

    Raises:
        InputError: it is no number, and no range of numbers.
    """
    if said is None:
        return None
    least, dash, most = said.partition("-")
    most = most if dash else least
    if not least.isdecimal() or not most.isdecimal() or not 1 <= int(least) <= int(most):
        raise InputError(f"--actors {said!r:.40}: expected a number from 1, or a range such as 2-8")
    return int(least), int(most)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to classify")
    parser.add_argument(
        "--input", metavar="FILE", help="csv, tsv, jsonl, parquet or txt; - is standard input, one text a line"
    )
    parser.add_argument("--output", metavar="FILE", type=Path, help="write JSON lines there, whole or not at all")
    parser.add_argument(
        "--policy", metavar="P", help="a spec such as 'window(entropy=0.1, size=6)', or an operating point"
    )
    parser.add_argument("--scores", action="store_true", help="every label's probability too")
    parser.add_argument("--trace", action="store_true", help="what every depth said too")
    parser.add_argument("--skip-bad", action="store_true", help="report and count bad rows instead of stopping")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--table", action="store_true", help="a table, also where no terminal is")
    shape.add_argument("--json", action="store_true", help="JSON lines, also on a terminal")
    add_ray_options(parser)
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Classify, and tell at the end how deep it went and how long it took."""
    if bool(arguments.texts) == bool(arguments.input):
        raise InputError("give either texts or --input FILE (- for standard input); see elbert predict -h")
    if arguments.table and arguments.output:
        raise InputError("--table is for reading here, and --output writes JSON lines: give one of them")
    if arguments.actors and arguments.ray is None:
        raise InputError("--actors is for --ray: give both, or --threads for this process")
    bad = BadRows()
    piped = arguments.input == "-" and arguments.ray is None
    with (
        (here if arguments.ray is None else on_ray)(arguments, bad) as (depths, answers),
        destination(arguments) as out,
        progress(arguments.output is not None) as tick,
    ):
        writer = out_writer(arguments, out)
        summary = Summary(depths)
        for example, prediction in answers:
            writer.write(example, prediction)
            summary.add(prediction)
            tick()
            if piped:
                out.flush()  # whoever feeds us line by line may wait for the answer
        writer.end(summary)
    bad.tell(f"{summary.texts} texts classified")
    return 0


@contextmanager
def here(arguments: argparse.Namespace, bad: BadRows) -> Iterator[Answers]:
    """How deep texts can go, and the answers of a model in this process."""
    examples = read(arguments, bad)
    classifier = load_classifier(arguments, arguments.policy)
    waiting: deque[Example] = deque()

    def texts() -> Iterator[str | tuple[str, str]]:
        for example in examples:
            waiting.append(example)
            yield example.content()

    said = classifier.stream(texts(), trace=arguments.trace, live=arguments.input == "-")
    yield classifier.depths, ((waiting.popleft(), prediction) for prediction in said)


def read(arguments: argparse.Namespace, bad: BadRows) -> Iterator[Example]:
    """The examples asked for, from the command line or a file; bad rows are told as they come."""
    from elbert.data import read_examples

    if arguments.texts:
        return iter(of_arguments(arguments.texts))
    stdin = own_stdin() if arguments.input == "-" else None
    return read_examples(arguments.input, skip_bad=bad.skip if arguments.skip_bad else None, stdin=stdin)


@contextmanager
def destination(arguments: argparse.Namespace) -> Iterator[IO[str]]:
    """The output file, or standard output."""
    if arguments.output is None:
        yield sys.stdout
        return
    from elbert._atomic import replaced

    with replaced(arguments.output) as out:
        yield out


def out_writer(arguments: argparse.Namespace, out: IO[str]) -> Writer:
    """A table for people, JSON lines for everything else."""
    people = arguments.output is None and not arguments.json and (arguments.table or out.isatty())
    return TableLines(out, arguments.scores) if people else JsonLines(out, arguments.scores)
