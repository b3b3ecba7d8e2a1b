"""The label names of a data file."""

from __future__ import annotations

import json
from pathlib import Path

from elbert.errors import DataError
from elbert.text.examples import read_examples
from elbert.text.labels import as_index, split_labels
from elbert.text.records import Example

LABELS_FILE = "labels.json"
MOST_CLASSES = 100_000


def label_names(path: str, *, multi: bool = False) -> list[str]:
    """Return the label names found in a file, in index order.

    Names are sorted. Where all labels are indices, ``labels.json`` beside the file (a JSON list of names) is used, else
    ``LABEL_0`` up to the highest. With ``multi``, a table's cell may hold several labels between ``;``.

    Raises:
        DataError: there are no labels, names and indices are mixed, or ``labels.json`` does not fit.
        BadRow: a row has no label, or one that is neither a name nor an index.
    """
    found: set[str | int] = set()
    for example in read_examples(path):
        found.update(_labels(example, multi))
    if not found:
        raise DataError(f"{path}: no labels found; expected a column named label with names or indices")
    indices = [label if isinstance(label, int) else as_index(label) for label in found]
    known = [index for index in indices if index is not None]
    if len(known) == len(found):
        return _names_of_indices(path, max(known))
    names = [label for label in found if isinstance(label, str)]
    if len(names) < len(found):
        raise DataError(f"{path}: the label column mixes names ({names[0]!r:.60}) with indices; use one or the other")
    return sorted(names)


def _labels(example: Example, multi: bool) -> list[str | int]:
    label = example.label
    if isinstance(label, str):
        parts: list[str | int] = [*split_labels(label)] if multi else [label]
    elif isinstance(label, list):
        parts = list(label)
    elif isinstance(label, float) and label.is_integer():
        parts = [int(label)]
    elif isinstance(label, int):
        parts = [label]
    else:
        raise example.bad("has no label" if label is None else f"label {label} is neither a name nor an index")
    if any(part == "" or (isinstance(part, int) and part < 0) for part in parts):
        raise example.bad(f"label {label!r:.60} is neither a name nor an index from 0")
    return parts


def _names_of_indices(path: str, highest: int) -> list[str]:
    if highest >= MOST_CLASSES:
        raise DataError(f"{path}: the highest label is {highest}, which looks like a value rather than an index")
    beside = Path(path).parent / LABELS_FILE
    if path == "-" or not beside.is_file():
        return [f"LABEL_{index}" for index in range(highest + 1)]
    names = _names_beside(beside)
    if len(names) <= highest:
        raise DataError(f"{beside}: names {len(names)} labels, but {path} has the label {highest}")
    return names


def _names_beside(beside: Path) -> list[str]:
    try:
        names = json.loads(beside.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{beside}: not readable as JSON ({error}); expected a list of label names") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError(f"{beside}: expected a JSON list of distinct label names, in index order")
    return names
