"""Labels: from the value in a row to the value a model is trained on, and the label names of a data file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from elbert.data.examples import read_examples
from elbert.data.records import Example
from elbert.errors import DataError, InputError

SHOWN = 10
SEPARATOR = ";"


def resolve_label(label: object, names: Sequence[str]) -> int:
    """Return the index of a label given as a name or an index, as text or as a number.

    A name wins over an index, so that with the names 1 to 5 the label 3 is the name and not the fourth.

    Raises:
        InputError: the label is neither; the message shows the accepted ones.
    """
    text = _as_text(label)
    if text in names:
        return names.index(text)
    index = as_index(text)
    if index is None or index >= len(names):
        raise InputError(f"unknown label {label!r:.60}; expected {_accepted(names)}")
    return index


def resolve_labels_multi(label: object, names: Sequence[str]) -> list[int]:
    """Return ``[classes]`` zeros and ones for a list of names or indices, or for text that holds them between ``;``.

    Raises:
        InputError: the label is missing, or a part of it is unknown or there twice.
    """
    chosen = [0] * len(names)
    for part in _parts(label, names):
        index = resolve_label(part, names)
        if chosen[index]:
            raise InputError(f"label {part!r:.60} is there twice; a row lists the names or indices it has")
        chosen[index] = 1
    return chosen


def resolve_value(label: object) -> float:
    """Return the number a regression row is labelled with.

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
    raise InputError(f"expected a finite number as label, came {label!r:.60}")


def as_index(text: str) -> int | None:
    """Return the index that plain digits stand for; anything else is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def split_labels(label: str) -> list[str]:
    """Return the labels that a table's cell holds between ``;``; an empty cell has none."""
    return [part.strip() for part in label.split(SEPARATOR) if part.strip()]


def _parts(label: object, names: Sequence[str]) -> list[object]:
    if label is None:
        raise InputError("the row has no label; expected a list of names or indices")
    if isinstance(label, str) and label not in names:
        return list(split_labels(label))
    return list(label) if isinstance(label, list) else [label]


def _as_text(label: object) -> str:
    if isinstance(label, str):
        return label
    if isinstance(label, float) and label.is_integer():
        return str(int(label))  # tables with gaps hold their indices as 1.0
    if isinstance(label, int) and not isinstance(label, bool):
        return str(label)
    came = "no label" if label is None else f"{type(label).__name__} {label!r:.60}"
    raise InputError(f"expected one label, a name or an index; came {came}")


def _accepted(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"one of {shown}, or an index from 0 to {len(names) - 1}"


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
