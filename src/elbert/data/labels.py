"""Labels: from the value in a row to the target of a model, and the label names of a data file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from elbert.data.examples import read_examples
from elbert.data.records import Example
from elbert.errors import DataError, InputError

LABELS_FILE = "labels.json"
MAX_CLASSES = 100_000
SEPARATOR = ";"
SHOWN_NAMES = 10


def resolve_label(label: object, names: Sequence[str]) -> int:
    """Return the index of a label, which is a name or an index, written as text or as a number.

    A name takes precedence over an index: with the names 1 to 5, the label 3 is the name, not the fourth class.

    Raises:
        InputError: the label is neither; the message lists the accepted ones.
    """
    text = _label_text(label)
    if text in names:
        return names.index(text)
    index = parse_index(text)
    if index is None or index >= len(names):
        raise InputError(f"unknown label {label!r:.60}; expected {_describe_accepted(names)}")
    return index


def resolve_labels_multi(label: object, names: Sequence[str]) -> list[int]:
    """Return ``[classes]`` zeros and ones for a list of names or indices, or for text with them between ``;``.

    Raises:
        InputError: the label is missing, or one of its parts is unknown or occurs twice.
    """
    chosen = [0] * len(names)
    for part in _label_parts(label, names):
        index = resolve_label(part, names)
        if chosen[index]:
            raise InputError(f"label {part!r:.60} occurs twice; a row lists each of its names or indices once")
        chosen[index] = 1
    return chosen


def resolve_value(label: object) -> float:
    """Return the target number of a regression row.

    Raises:
        InputError: the label is not a finite number.
    """
    if isinstance(label, str | int | float) and not isinstance(label, bool):
        try:
            value = float(label)
        except (ValueError, OverflowError):
            value = math.nan
        if math.isfinite(value):
            return value
    raise InputError(f"expected a finite number as label, got {label!r:.60}")


def read_label_names(path: str, *, multi: bool = False) -> list[str]:
    """Return the label names of a data file, in index order.

    Names are sorted. Where all labels are indices, ``labels.json`` beside the file (a JSON list of names) is used, else
    ``LABEL_0`` up to the highest. With ``multi``, a table's cell may hold several labels between ``;``.

    Raises:
        DataError: there are no labels, names and indices are mixed, or ``labels.json`` does not fit.
        BadRow: a row has no label, or one that is neither a name nor an index.
    """
    found: set[str | int] = set()
    for example in read_examples(path):
        found.update(_example_labels(example, multi))
    if not found:
        raise DataError(f"{path}: no labels found; expected a column named label with names or indices")
    indices = [label if isinstance(label, int) else parse_index(label) for label in found]
    known = [index for index in indices if index is not None]
    if len(known) == len(found):
        return _name_indices(path, max(known))
    names = [label for label in found if isinstance(label, str)]
    if len(names) < len(found):
        raise DataError(f"{path}: the label column mixes names ({names[0]!r:.60}) with indices; use one or the other")
    return sorted(names)


def parse_index(text: str) -> int | None:
    """Return the index that plain digits denote, or None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def split_labels(label: str) -> list[str]:
    """Return the labels of a table's cell, which are separated by ``;``; an empty cell has none."""
    return [part.strip() for part in label.split(SEPARATOR) if part.strip()]


def _label_parts(label: object, names: Sequence[str]) -> list[object]:
    if label is None:
        raise InputError("the row has no label; expected a list of names or indices")
    if isinstance(label, str) and label not in names:
        return list(split_labels(label))
    return list(label) if isinstance(label, list) else [label]


def _label_text(label: object) -> str:
    if isinstance(label, str):
        return label
    if isinstance(label, float) and label.is_integer():
        return str(int(label))  # pandas writes the indices of a column with missing values as 1.0
    if isinstance(label, int) and not isinstance(label, bool):
        return str(label)
    got = "no label" if label is None else f"{type(label).__name__} {label!r:.60}"
    raise InputError(f"expected one label, a name or an index; got {got}")


def _describe_accepted(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")
    return f"one of {shown}, or an index from 0 to {len(names) - 1}"


def _example_labels(example: Example, multi: bool) -> list[str | int]:
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
        raise example.bad_row("has no label" if label is None else f"label {label} is neither a name nor an index")
    if any(part == "" or (isinstance(part, int) and part < 0) for part in parts):
        raise example.bad_row(f"label {label!r:.60} is neither a name nor an index from 0")
    return parts


def _name_indices(path: str, highest: int) -> list[str]:
    if highest >= MAX_CLASSES:
        raise DataError(f"{path}: the highest label is {highest}, which looks like a value rather than an index")
    names_file = Path(path).parent / LABELS_FILE
    if path == "-" or not names_file.is_file():
        return [f"LABEL_{index}" for index in range(highest + 1)]
    names = _read_names(names_file)
    if len(names) <= highest:
        raise DataError(f"{names_file}: names {len(names)} labels, but {path} has the label {highest}")
    return names


def _read_names(file: Path) -> list[str]:
    try:
        names = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: not readable as JSON ({error}); expected a list of label names") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError(f"{file}: expected a JSON list of distinct label names, in index order")
    return names
