"""Texts and targets of data from Python and of files, and their outputs; errors name the row."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from elbert.bundle import ConditionsWarning
from elbert.bundle.training_record import find_seen
from elbert.classifier import Classifier
from elbert.data import DEFAULT_COLUMNS, Columns, Example, is_missing, iterate_examples
from elbert.errors import BadRow, DataError, InputError
from elbert.evaluation.document_outputs import DocumentOutputs, collect_documents
from elbert.evaluation.outputs import Outputs, collect
from elbert.evaluation.targets import Targets, read_targets
from elbert.inference import Windows

NO_TAGS = "no tags; expected the columns tokens and tags, lists of the same length (jsonl, parquet or conll)"
Collected = TypeVar("Collected", Outputs, DocumentOutputs)


def read_data(
    classifier: Classifier,
    data: Any,
    labels: Any = None,
    *,
    source: str = "data",
    columns: Columns = DEFAULT_COLUMNS,
    needs_labels: bool = False,
) -> tuple[list[Example], Targets | None]:
    """Return examples, and their targets; None for the targets where no example has a label.

    Raises:
        BadRow: a row has no text, or has no valid label where others have one.
        DataError, InputError: the data cannot be used, or has no texts.
    """
    per_token = classifier.bundle.config.task.per_token
    needs_column = needs_labels and not per_token  # that of tags has another name
    examples = list(iterate_examples(data, labels, source=source, columns=columns, needs_labels=needs_column))
    if not examples:
        raise DataError(f"{source} has no texts")
    if all(is_missing(example.label) for example in examples):
        if needs_labels and per_token:
            raise DataError(f"{source}: {NO_TAGS}")
        return examples, None
    return read_targets(examples, classifier.labels, classifier.bundle.config.task)


def collect_examples(
    classifier: Classifier,
    examples: Sequence[Example],
    targets: Targets | None,
    skip_bad: Callable[[BadRow], None] | None = None,
) -> tuple[list[Example], Outputs]:
    """Run examples once at full depth; return those that have outputs, and the outputs (:func:`collect`).

    An example that the model cannot take, such as one whose outputs are NaN, is a bad row.

    Raises:
        BadRow: the model cannot take an example, and there is no ``skip_bad``.
        DataError: it can take none.
    """
    run = partial(collect, classifier, [example.content() for example in examples], targets)
    return skip_bad_examples(examples, run, skip_bad)


def collect_windows(
    classifier: Classifier,
    examples: Sequence[Example],
    targets: Targets | None,
    windows: Windows,
    skip_bad: Callable[[BadRow], None] | None = None,
) -> tuple[list[Example], DocumentOutputs]:
    """Return what :func:`collect_examples` returns, of all windows of the examples.

    Raises:
        BadRow, DataError: as for :func:`collect_examples`.
    """
    run = partial(collect_documents, classifier, [example.content() for example in examples], targets, windows)
    return skip_bad_examples(examples, run, skip_bad)


def skip_bad_examples(
    examples: Sequence[Example], run: Callable[..., Collected], skip_bad: Callable[[BadRow], None] | None
) -> tuple[list[Example], Collected]:
    """Return the examples that have outputs, and the outputs; ``run`` calls its ``on_failure`` for the others.

    Raises:
        BadRow, DataError: as for :func:`collect_examples`.
    """
    failed = set[int]()

    def skip(number: int, error: Exception) -> None:
        if not isinstance(error, InputError):
            raise error
        bad = examples[number].bad_row(str(error))
        if skip_bad is None:
            raise bad from error
        failed.add(number)
        skip_bad(bad)

    with name_rows(examples):
        outputs = run(on_failure=skip)
    if not len(outputs):
        raise DataError("the model cannot take any of these texts; elbert predict names the reason for each")
    return [example for number, example in enumerate(examples) if number not in failed], outputs


def warn_seen(classifier: Classifier, examples: Sequence[Example]) -> None:
    """Warn (:class:`ConditionsWarning`) where the model was trained on a notable share of these texts.

    To look at validation texts is usual: they chose one checkpoint of a few.
    """
    seen = find_seen(classifier.bundle.folder, [example.content() for example in examples], parts=("train",))
    if seen is not None:
        warnings.warn(f"{seen}: the figures are too good; use other texts", ConditionsWarning, stacklevel=3)


@contextmanager
def name_rows(examples: Sequence[Example]) -> Iterator[None]:
    """Name the row of an error of one text, where the texts of these examples are classified.

    Raises:
        BadRow: a text cannot be classified.
    """
    try:
        yield
    except InputError as error:
        if error.text is None:
            raise
        raise examples[error.text].bad_row(str(error).removeprefix(f"text {error.text}: ")) from error
