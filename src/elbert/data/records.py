"""One row of a data file, before and after its check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from elbert._display import plural
from elbert.data.column_names import ALL_COLUMNS, Selection
from elbert.errors import BadRow

SkipBad = Callable[[BadRow], None]  # receives the error of each row that is left out


def ignore_bad(row: BadRow) -> None:
    """Leave out a row without a report, where another reading of the same data reports it."""


@dataclass(frozen=True, slots=True)
class Record:
    """An unchecked row: its fields by column, and the line on which it starts (from 1)."""

    line: int
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Example:
    """A row with checked texts: one text or a pair, and its file and line.

    Of a row of words, the text has them joined by spaces, and the label is the list of their tags.
    ``label`` is the value in the file. It is checked where it is read (:class:`elbert.data.LabelSet`), so that a label
    that cannot be used does not stop a prediction. ``kept`` has the values of further columns, on request.
    """

    text: str
    text_pair: str | None
    label: object
    line: int
    source: str = ""
    kept: Mapping[str, object] | None = None

    def content(self) -> str | tuple[str, str]:
        """Return the input of the classifier: the text, or the pair."""
        return self.text if self.text_pair is None else (self.text, self.text_pair)

    def bad_row(self, why: str) -> BadRow:
        """Return an error for this row, with its file and line."""
        return BadRow(self.source, self.line, why)


def check_record(record: Record, source: str, selection: Selection = ALL_COLUMNS) -> Example:
    """Return the example of a record.

    Raises:
        BadRow: a text is missing or not a string, or a column is missing that the selection names.
    """
    fields, names = record.fields, selection.columns.names
    try:
        kept = {name: fields.get(name) for name in selection.keep} if selection.keep else None
        if fields.get(names["text"]) is None and "tokens" in fields and "tokens" in selection.names:
            words, tags = check_words(fields)
            return Example(_text(words, "tokens"), None, tags, record.line, source, kept)
        if (missing := selection.find_missing(fields)) not in (None, "text"):
            raise ValueError(selection.describe_missing(missing, fields))
        text = _text(fields.get(names["text"]), names["text"])
        pair = fields.get(names["text_pair"])
        # A table has no null, so an empty cell is no second text; an empty one means the same in every format.
        text_pair = (None if pair is None else _text(pair, names["text_pair"])) or None
        label = fields.get(names["label"]) if selection.labels else None
        return Example(text, text_pair, label, record.line, source, kept)
    except ValueError as error:
        raise BadRow(source, record.line, str(error)) from None


def check_words(fields: Mapping[str, object]) -> tuple[str, list[object] | None]:
    """Return the text of a row's ``tokens``, joined by spaces, and its tags.

    Raises:
        ValueError: tokens are no list of words, or there are not as many tags.
    """
    tokens, tags = _to_list(fields.get("tokens")), _to_list(fields.get("tags"))
    if tokens is None:
        raise ValueError(f"tokens are {fields.get('tokens')!r:.60}, expected a list of words (jsonl, parquet or conll)")
    for token in tokens:
        if not isinstance(token, str) or not token or token.split() != [token]:
            raise ValueError(f"a token is {token!r:.60}, expected a word without spaces")
    if tags is None and fields.get("tags") is not None:
        raise ValueError(f"tags are {fields['tags']!r:.60}, expected a list with a tag for each word")
    if tags is not None and len(tags) != len(tokens):
        raise ValueError(f"{plural(len(tags), 'tag')} for {plural(len(tokens), 'token')}; expected one for each")
    return " ".join(map(str, tokens)), tags


def _to_list(value: object) -> list[object] | None:
    convert = getattr(value, "tolist", None)
    value = convert() if callable(convert) else value
    return list(value) if isinstance(value, list | tuple) else None


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
