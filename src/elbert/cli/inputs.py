"""Data files of commands: texts, labels, random samples, and bad rows that are skipped."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from elbert._display import plural
from elbert._settings import settings_of
from elbert.cli.settings_flags import add_flags, resolve_flags
from elbert.cli.streams import open_stdin_copy, print_note
from elbert.data.column_names import Columns
from elbert.errors import BadRow, DataError, ElbertError

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.data import Example
    from elbert.evaluation import Outputs, Targets


BLOCK = 2048  # texts tokenised at once


COLUMN_SETTINGS = settings_of(Columns)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--data``, its columns, and ``--skip-bad``."""
    parser.add_argument("--data", required=True, metavar="FILE", help="csv, tsv, jsonl or parquet file")
    add_column_options(parser)
    add_skip_bad(parser)


def add_skip_bad(parser: argparse.ArgumentParser) -> None:
    """Add ``--skip-bad``, which the error of a bad row names too (``cli.main``)."""
    parser.add_argument("--skip-bad", action="store_true", help="report and count bad rows instead of stopping")


def add_column_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the columns of data files."""
    add_flags(parser, COLUMN_SETTINGS)


def choose_columns(arguments: argparse.Namespace) -> Columns:
    """Return the columns that the flags name.

    Raises:
        InputError: a flag has a wrong value.
    """
    resolve_flags(arguments, {}, COLUMN_SETTINGS)
    return Columns(**{setting.name: getattr(arguments, setting.name) for setting in COLUMN_SETTINGS})


def check_data_files(arguments: argparse.Namespace, *files: str | None) -> None:
    """Check that data files exist and have the columns that the flags name, before a model is loaded.

    Raises:
        DataError: a file is missing or has other columns.
        InputError: a flag does not fit.
    """
    from elbert.data import ignore_bad, read_examples

    columns = choose_columns(arguments)
    needs_labels = columns.label_column is not None  # else the task decides, which the model has
    for file in files:
        if file is not None and file != "-" and not file.endswith(".npz"):
            next(read_examples(file, skip_bad=ignore_bad, columns=columns, needs_labels=needs_labels), None)


def list_column_flags(arguments: argparse.Namespace) -> list[str]:
    """Return the flags of columns that are set, each followed by its value, for a command on similar data."""
    values = {setting.flag: getattr(arguments, setting.name) for setting in COLUMN_SETTINGS}
    return [part for flag, value in values.items() if value is not None for part in (flag, value)]


class SkippedRows:
    """Reports and counts the rows that ``--skip-bad`` skips."""

    def __init__(self) -> None:
        self.count = 0

    def skip(self, row: BadRow) -> None:
        """Report one row, and count it."""
        self.count += 1
        print_note(f"skipped {row}")

    def report(self, rest: str) -> None:
        """Report the total, if any row was skipped; ``rest`` describes the other rows."""
        if self.count:
            print_note(f"{plural(self.count, 'bad row')} skipped, {rest}")


def read_labelled(arguments: argparse.Namespace, classifier: Classifier) -> tuple[list[Example], Targets]:
    """Return examples and targets of ``--data``.

    Raises:
        BadRow: a row has no valid label, and bad rows are not skipped.
        DataError: the file cannot be used, or has no labels.
    """
    return read_labelled_file(arguments.data, arguments, classifier)


def read_labelled_file(
    file: str, arguments: argparse.Namespace, classifier: Classifier
) -> tuple[list[Example], Targets]:
    """Return examples and targets of a data file; warn where the model was trained on them.

    Raises:
        BadRow: a row has no valid label, and bad rows are not skipped.
        DataError: the file cannot be used, or has no labels.
    """
    from elbert.evaluation.labelled_data import warn_seen

    examples, labels = read_data(file, arguments, classifier, needs_labels=True)
    if labels is None:
        raise DataError(
            f"{file}: no labels; expected names or indices in the column {choose_columns(arguments).names['label']!r}"
        )
    warn_seen(classifier, examples)
    return examples, labels


def read_data(
    file: str, arguments: argparse.Namespace, classifier: Classifier, *, needs_labels: bool = False, is_cut: bool = True
) -> tuple[list[Example], Targets | None]:
    """Return examples and targets of a data file; None for the targets where no row has a label.

    ``is_cut``: whether the model reads long texts only in part, which is noted.

    Raises:
        BadRow: a row cannot be used, and bad rows are not skipped.
        DataError: the file cannot be used, or has no texts.
    """
    from elbert.data import is_missing, read_examples
    from elbert.evaluation.labelled_data import NO_TAGS

    skipped, skip_bad, columns = SkippedRows(), arguments.skip_bad, choose_columns(arguments)
    skip = skipped.skip if skip_bad else None
    per_token = classifier.bundle.config.task.per_token
    needs_column = needs_labels and not per_token  # that of tags has another name
    examples = list(read_examples(file, skip_bad=skip, columns=columns, needs_labels=needs_column))
    examples = keep_usable(examples, skipped if skip_bad else None, classifier, is_cut=is_cut)
    if examples and all(is_missing(example.label) for example in examples):
        if needs_labels and per_token:
            raise DataError(f"{file}: {NO_TAGS}")
        skipped.report(f"{plural(len(examples), 'text')} read")
        return examples, None
    kept, labels = read_targets(examples, skipped if skip_bad else None, classifier)
    if not kept:
        raise DataError(f"{file}: no {'labelled ' if needs_labels else ''}texts to evaluate")
    skipped.report(f"{plural(len(kept), 'text')} evaluated")
    return kept, labels


def run_examples(
    examples: Sequence[Example], labels: Targets | None, skip_bad: bool, classifier: Classifier
) -> tuple[list[Example], Outputs]:
    """Run examples once at full depth; return those that have outputs, and the outputs.

    Raises:
        BadRow: the model cannot take an example, and bad rows are not skipped.
    """
    from elbert.evaluation.labelled_data import collect_examples

    skipped = SkippedRows()
    kept, outputs = collect_examples(classifier, examples, labels, skipped.skip if skip_bad else None)
    skipped.report(f"{plural(len(kept), 'text')} with outputs")
    return kept, outputs


def keep_usable(
    examples: Sequence[Example], skipped: SkippedRows | None, classifier: Classifier, *, is_cut: bool = True
) -> list[Example]:
    """Return the examples that the model can take, and print how many of them it reads only in part (``is_cut``).

    Raises:
        BadRow: the model cannot take an example, and ``skipped`` is None.
    """
    kept: list[Example] = []
    truncated = 0
    for start in range(0, len(examples), BLOCK):
        block = examples[start : start + BLOCK]
        for example, row in zip(block, classifier.encode_each([e.content() for e in block]), strict=True):
            if not isinstance(row, ElbertError):
                kept.append(example)
                truncated += row.truncated
            elif skipped is None:
                raise example.bad_row(str(row)) from row
            else:
                skipped.skip(example.bad_row(str(row)))
    report_truncated(truncated if is_cut else 0, len(kept))
    return kept


def report_truncated(truncated: int, total: int) -> None:
    """Print how many texts the model reads only in part, if there are any."""
    if truncated:
        print_note(f"{truncated:,} of {plural(total, 'text')} truncated: they are longer than the model reads")


def read_targets(
    examples: Sequence[Example], skipped: SkippedRows | None, classifier: Classifier
) -> tuple[list[Example], Targets]:
    """Return the examples with a valid label, and their targets; other rows go to ``skipped``.

    Raises:
        BadRow: a row has no valid label, and ``skipped`` is None.
    """
    from elbert.evaluation import targets

    task = classifier.bundle.config.task
    return targets.read_targets(examples, classifier.labels, task, skipped.skip if skipped else None)


def sample_examples(arguments: argparse.Namespace, limit: int) -> tuple[list[Example], int]:
    """Return at most ``limit`` examples of ``--data`` in the file's order, and the number of examples in the file.

    Of a longer file a random sample is used, the same one each time (Vitter's algorithm R): many files are sorted by
    label.

    Raises:
        DataError: there are no texts, or the file cannot be read.
        BadRow: a row cannot be used, and bad rows are not skipped.
    """
    from elbert.data import read_examples

    skipped, generator = SkippedRows(), random.Random(0)
    stdin = open_stdin_copy() if arguments.data == "-" else None
    kept: list[tuple[int, Example]] = []
    total = 0
    skip, columns = skipped.skip if arguments.skip_bad else None, choose_columns(arguments)
    for example in read_examples(arguments.data, skip_bad=skip, stdin=stdin, columns=columns):
        total += 1
        place = generator.randrange(total) if len(kept) == limit else len(kept)
        if place < limit:
            kept[place : place + 1] = [(total, example)]
    if not kept:
        raise DataError(f"{arguments.data}: no texts to explain")
    skipped.report(f"{plural(total, 'text')} read")
    return [example for _, example in sorted(kept, key=itemgetter(0))], total


def read_sample(
    arguments: argparse.Namespace, examples: list[Example], classifier: Classifier
) -> tuple[list[Example], Targets | None]:
    """Return the examples that can be used, and their targets (None where no row has a label).

    Raises:
        DataError: no row has a valid label, and bad rows are skipped.
        BadRow: a row has no valid label, and bad rows are not skipped.
    """
    from elbert.data import is_missing

    skipped = SkippedRows()
    examples = keep_usable(examples, skipped if arguments.skip_bad else None, classifier)
    if examples and all(is_missing(example.label) for example in examples):
        skipped.report(f"{plural(len(examples), 'text')} used")
        return examples, None
    kept, labels = read_targets(examples, skipped if arguments.skip_bad else None, classifier)
    if not kept:
        raise DataError(f"{arguments.data}: no labelled texts to explain")
    skipped.report(f"{plural(len(kept), 'text')} used")
    return kept, labels
