"""A sample of a data file, with labels where it has them."""

from __future__ import annotations

import argparse
import random
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from elbert.cli.bad_rows import BadRows
from elbert.cli.data import with_targets
from elbert.cli.streams import own_stdin
from elbert.errors import DataError

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.text import Example, Text


def drawn(arguments: argparse.Namespace, limit: int) -> tuple[list[Example], int]:
    """At most ``limit`` examples, in the file's order, and how many there are.

    Drawn at random, the same every time (Vitter's algorithm R): many files are sorted by label.

    Raises:
        DataError: there are no texts, or the file cannot be read.
        BadRow: a row cannot be used, and bad rows are not skipped.
    """
    from elbert.text import read_examples

    bad, chance = BadRows(), random.Random(0)
    stdin = own_stdin() if arguments.data == "-" else None
    kept: list[tuple[int, Example]] = []
    total = 0
    for example in read_examples(arguments.data, skip_bad=bad.skip if arguments.skip_bad else None, stdin=stdin):
        total += 1
        place = chance.randrange(total) if len(kept) == limit else len(kept)
        if place < limit:
            kept[place : place + 1] = [(total, example)]
    if not kept:
        raise DataError(f"{arguments.data}: no texts to explain")
    bad.tell(f"{total} texts read")
    return [example for _, example in sorted(kept, key=itemgetter(0))], total


def targeted(
    arguments: argparse.Namespace, examples: list[Example], classifier: Classifier
) -> tuple[list[Text], list[Any] | None, list[int]]:
    """Texts, their targets if any row has a label, and the lines where they stand.

    Raises:
        DataError: no row has a label that fits, and bad rows are skipped.
        BadRow: a row has no label that fits, and bad rows are not skipped.
    """
    if all(example.label is None for example in examples):
        return [example.content() for example in examples], None, [example.line for example in examples]
    bad = BadRows()
    kept, labels = with_targets(examples, bad if arguments.skip_bad else None, classifier)
    if not kept:
        raise DataError(f"{arguments.data}: no labelled texts to explain")
    bad.tell(f"{len(kept)} texts looked at")
    return [example.content() for example in kept], labels, [example.line for example in kept]
