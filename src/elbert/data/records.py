"""One row of a data file, before and after its check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from elbert.errors import BadRow

Label = str | int | float | list[str] | list[int] | None


@dataclass(frozen=True, slots=True)
class Record:
    """An unchecked row: its fields by column, and the line on which it starts (from 1)."""

    line: int
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Example:
    """A checked row: one text or a pair, the label as written in the file, and its file and line."""

    text: str
    text_pair: str | None
    label: Label
    line: int
    source: str = ""

    def content(self) -> str | tuple[str, str]:
        """Return the input of the classifier: the text, or the pair."""
        return self.text if self.text_pair is None else (self.text, self.text_pair)

    def bad_row(self, why: str) -> BadRow:
        """Return an error for this row, with its file and line."""
        return BadRow(self.source, self.line, why)


def check_record(record: Record, source: str) -> Example:
    """Return the example of a record.

    Raises:
        BadRow: a text is missing or not a string, or the label has an unsupported type.
    """
    try:
        text = _text(record.fields.get("text"), "text")
        pair = record.fields.get("text_pair")
        text_pair = None if pair is None else _text(pair, "text_pair")
        return Example(text, text_pair, _label(record.fields.get("label")), record.line, source)
    except ValueError as error:
        raise BadRow(source, record.line, str(error)) from None


def _text(value: object, column: str) -> str:
    if value is None:
        raise ValueError(f"{column} is missing or null; every row needs a string")
    if not isinstance(value, str):
        raise ValueError(f"{column} must be a string, got {_kind(value)}")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{column} holds a lone surrogate, which is no character")
    return value


def _label(value: object) -> Label:
    if value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, list):
        names = [item for item in value if isinstance(item, str)]
        indices = [item for item in value if isinstance(item, int) and not isinstance(item, bool)]
        if len(names) == len(value):
            return names
        if len(indices) == len(value):
            return indices
        raise ValueError("a list of labels must hold names only or indices only")
    raise ValueError(f"label must be a name, an index, a number or a list of labels, got {_kind(value)}")


def _kind(value: object) -> str:
    return f"{type(value).__name__} {value!r:.60}"
