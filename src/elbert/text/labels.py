"""Labels: from what a row says to what a model is trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from elbert.errors import InputError

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
