"""``elbert predict --ray``: the same answers, from the actors of a cluster."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from elbert.cli.bad_rows import BadRows
from elbert.cli.streams import own_stdin
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.prediction import Prediction
    from elbert.text import Example

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
    from elbert.ray.bulk import predict
    from elbert.ray.cluster import joined, ray
    from elbert.ray.results import results

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
    from elbert.text import parts_of

    if arguments.texts:
        return "argument"
    if arguments.input == "-":
        return "<stdin>"
    parts_of(arguments.input, 1)
    return str(arguments.input)


def given(arguments: argparse.Namespace) -> Any:
    """What is to be answered, as a dataset: a file is read by workers, what only this process has goes to them."""
    from elbert.ray.files import dataset_of, dataset_of_rows, row_of, rows
    from elbert.text import checked

    if arguments.texts:
        for number, text in enumerate(arguments.texts):
            checked(text, number)
        return dataset_of_rows(row_of(example) for example in of_arguments(arguments.texts))
    if arguments.input == "-":
        return dataset_of_rows(rows("-", None, own_stdin()))
    return dataset_of(arguments.input)


def of_arguments(texts: Sequence[str]) -> list[Example]:
    """Texts of the command line."""
    from elbert.text import Example

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
