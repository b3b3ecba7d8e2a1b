"""``elbert predict``: texts in, JSON lines out; a table for people on a terminal."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from elbert.cli.bad_rows import BadRows
from elbert.cli.on_ray import Answers, add_ray_options, of_arguments, on_ray
from elbert.cli.options import add_model_options, load_classifier
from elbert.cli.output import JsonLines, Summary, TableLines, Writer, progress
from elbert.cli.streams import own_stdin
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.text import Example


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
    from elbert.text import read_examples

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
    from elbert._files import replaced

    with replaced(arguments.output) as out:
        yield out


def out_writer(arguments: argparse.Namespace, out: IO[str]) -> Writer:
    """A table for people, JSON lines for everything else."""
    people = arguments.output is None and not arguments.json and (arguments.table or out.isatty())
    return TableLines(out, arguments.scores) if people else JsonLines(out, arguments.scores)
