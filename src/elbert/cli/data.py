"""Data files that commands measure on: texts, and what they should be answered with."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from elbert.cli.bad_rows import BadRows
from elbert.errors import BadRow, DataError

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.text import Example, Text


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
    from elbert.text import read_examples

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
