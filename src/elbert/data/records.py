"""One row of a data file, before and after its check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from elbert.errors import BadRow

TEXT_COLUMNS = ("text", "text_pair")
COLUMNS = (*TEXT_COLUMNS, "label")


@dataclass(frozen=True, slots=True)
class Record:
    """An unchecked row: its fields by column, and the line on which it starts (from 1)."""

    line: int
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Example:
    """A row with checked texts: one text or a pair, and its file and line.

    ``label`` is the value in the file. It is checked where it is read (:class:`elbert.data.LabelSet`), so that a label
    that cannot be used does not stop a prediction.
    """

    text: str
    text_pair: str | None
    label: object
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
        BadRow: a text is missing or not a string.
    """
    try:
        text = _text(record.fields.get("text"), "text")
        pair = record.fields.get("text_pair")
        # A table has no null, so an empty cell is no second text; an empty one means the same in every format.
        text_pair = (None if pair is None else _text(pair, "text_pair")) or None
        return Example(text, text_pair, record.fields.get("label"), record.line, source)
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


def _kind(value: object) -> str:
    return f"{type(value).__name__} {value!r:.60}"
