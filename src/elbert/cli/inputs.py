"""Data files of commands: texts, labels, bad rows, random samples, and the two parts that calibration needs."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from elbert.calibration import Promised, Wish
from elbert.calibration.certify import check_enough
from elbert.cli.flags import load_classifier
from elbert.cli.streams import own_stdin
from elbert.errors import BadRow, DataError, InputError
from elbert.evaluation import Outputs, collect, split

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.data import Example
    from elbert.texts import Text


class BadRows:
    """The rows that ``--skip-bad`` passed over."""

    def __init__(self) -> None:
        self.count = 0

    def skip(self, row: BadRow) -> None:
        """Tell of one, and count it."""
        self.count += 1
        sys.stderr.write(f"elbert: skipped {row}\n")

    def tell(self, rest: str) -> None:
        """The total, if there was any; ``rest`` says what became of the others."""
        if self.count:
            sys.stderr.write(f"elbert: {self.count} bad rows skipped, {rest}\n")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """``--data`` and what to do with its bad rows."""
    parser.add_argument("--data", required=True, metavar="FILE", help="csv, tsv, jsonl or parquet")
    parser.add_argument("--skip-bad", action="store_true", help="report and count bad rows instead of stopping")


def labelled(arguments: argparse.Namespace, classifier: Classifier) -> tuple[list[Text], list[Any]]:
    """Texts and targets of the data file.

    Raises:
        BadRow: a row without a label that fits, unless bad rows are skipped.
    """
    texts, labels = read_data(arguments.data, arguments.skip_bad, classifier)
    if labels is None:
        raise DataError(f"{arguments.data}: no labels; expected a column 'label'")
    return texts, labels


def read_data(file: str, skip_bad: bool, classifier: Classifier) -> tuple[list[Text], list[Any] | None]:
    """Texts and targets of a data file; None for the targets where no row has a label.

    Raises:
        BadRow: a row cannot be used, unless bad rows are skipped.
        DataError: the file cannot be used, or has no texts.
    """
    from elbert.data import read_examples

    bad = BadRows()
    examples = list(read_examples(file, skip_bad=bad.skip if skip_bad else None))
    if examples and all(example.label is None for example in examples):
        bad.tell(f"{len(examples)} texts read")
        return [example.content() for example in examples], None
    kept, labels = with_targets(examples, bad if skip_bad else None, classifier)
    if not kept:
        raise DataError(f"{file}: no labelled texts to evaluate")
    bad.tell(f"{len(kept)} texts evaluated")
    return [example.content() for example in kept], labels


def with_targets(
    examples: Iterable[Example], bad: BadRows | None, classifier: Classifier
) -> tuple[list[Example], list[Any]]:
    """Examples whose label fits, and their targets; the others are told to ``bad``, if there is one to tell.

    Raises:
        BadRow: a row has no label that fits, and there is none to tell.
    """
    from elbert.evaluation import target

    kept: list[Example] = []
    labels: list[Any] = []
    for example in examples:
        try:
            labels.append(target(example, classifier.labels, classifier.bundle.config.problem))
        except BadRow as row:
            if bad is None:
                raise
            bad.skip(row)
            continue
        kept.append(example)
    return kept, labels


def drawn(arguments: argparse.Namespace, limit: int) -> tuple[list[Example], int]:
    """At most ``limit`` examples, in the file's order, and how many there are.

    Drawn at random, the same every time (Vitter's algorithm R): many files are sorted by label.

    Raises:
        DataError: there are no texts, or the file cannot be read.
        BadRow: a row cannot be used, and bad rows are not skipped.
    """
    from elbert.data import read_examples

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


@dataclass(frozen=True)
class Part:
    """Texts, and their labels if they have any."""

    texts: Sequence[Text]
    labels: Sequence[Any] | None

    def take(self, index: Sequence[int]) -> Part:
        """Some of them."""
        return Part([self.texts[i] for i in index], None if self.labels is None else [self.labels[i] for i in index])

    def outputs(self, classifier: Classifier) -> Outputs:
        """What every depth says about them."""
        return collect(classifier, self.texts, self.labels)


@dataclass(frozen=True)
class Parts:
    """The part to choose on, and the part to measure on."""

    tuning: Part | None
    measured: Part

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return self.measured.labels is not None

    def check_enough(self, wish: Wish) -> None:
        """Refuse a certificate that so few texts cannot give.

        Raises:
            InputError: there are too few.
        """
        if isinstance(wish, Promised):
            check_enough(len(self.measured.texts), wish.risk, wish.error)

    def outputs(
        self, arguments: argparse.Namespace, classifier: Classifier
    ) -> tuple[Outputs | None, dict[str, Outputs]]:
        """``(outputs of the tuning part if there is one, outputs of the other by precision)``."""
        also = [dtype for dtype in arguments.also_dtype if dtype != classifier.dtype]
        others = {d: load_classifier(argparse.Namespace(**vars(arguments) | {"dtype": d}), "full") for d in also}
        tuning = None if self.tuning is None else self.tuning.outputs(classifier)
        return tuning, {
            dtype: self.measured.outputs(c) for dtype, c in ({classifier.dtype: classifier} | others).items()
        }


def read_parts(arguments: argparse.Namespace, classifier: Classifier) -> Parts:
    """Two files, or one that is split, or one that is all measured on where policies fixed beforehand are certified.

    Raises:
        DataError: a file cannot be used, or only one of them has labels.
        InputError: one of the parts is empty.
    """
    if arguments.data == "-":
        raise InputError("calibration is bound to a data file by its hash: give a file, not standard input")
    whole = Part(*read_data(arguments.data, arguments.skip_bad, classifier))
    if arguments.policies and arguments.risk is not None and arguments.tuning is None:
        return Parts(None, whole)
    if arguments.tuning is None:
        chosen, rest = split(len(whole.texts), arguments.tuning_share)
        if not len(chosen) or not len(rest):
            raise InputError(f"{arguments.data}: {len(whole.texts)} texts cannot be split into two parts; give more")
        return Parts(whole.take(chosen.tolist()), whole.take(rest.tolist()))
    tuning = Part(*read_data(arguments.tuning, arguments.skip_bad, classifier))
    if (tuning.labels is None) != (whole.labels is None):
        raise DataError(f"{arguments.tuning} and {arguments.data}: one has labels and the other has none")
    return Parts(tuning, whole)
