"""Texts and targets of data from Python: files, tables, rows, or texts and labels."""

from __future__ import annotations

from typing import Any

from elbert.classifier import Classifier
from elbert.data import is_missing, iterate_examples
from elbert.errors import DataError
from elbert.evaluation.targets import Targets, read_targets
from elbert.tokenization.tokens import Text


def read_data(
    classifier: Classifier, data: Any, labels: Any = None, *, source: str = "data"
) -> tuple[list[Text], Targets | None]:
    """Return texts, and their targets; None for the targets where no text has a label.

    Raises:
        BadRow: a row has no text, or has no valid label where others have one.
        DataError, InputError: the data cannot be used, or has no texts.
    """
    examples = list(iterate_examples(data, labels, source=source))
    if not examples:
        raise DataError(f"{source} has no texts")
    texts = [example.content() for example in examples]
    if all(is_missing(example.label) for example in examples):
        return texts, None
    _, targets = read_targets(examples, classifier.labels, classifier.bundle.config.task)
    return texts, targets
