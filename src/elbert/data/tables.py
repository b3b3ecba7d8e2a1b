"""Formats with a header row: comma- and tab-separated values."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from elbert.data.lines import BOM
from elbert.data.records import Record
from elbert.errors import BadRow, DataError

CSV: dict[str, Any] = {"delimiter": ",", "strict": True}
# A tab-separated line is a row, and quotes are text: GLUE's files hold bare quotes, which would swallow whole lines.
TSV: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}


class _Reader(Protocol):
    def __next__(self) -> list[str]: ...


class _Lines:
    """Physical lines with a count; after a broken record, reading can return to the line after its first."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._pending: deque[bytes] = deque()
        self._record_lines: list[bytes] = []
        self.start = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._pending.popleft() if self._pending else next(self._lines)
        self._record_lines.append(line)
        # Bytes that are not UTF-8 become surrogates, so that quotes still match; the whole record is rejected later.
        text = line.decode("utf-8", errors="surrogateescape")
        return text.removeprefix(BOM) if self.start == 1 and len(self._record_lines) == 1 else text

    def next_record(self) -> None:
        """Start the next record on the next line: this one was read."""
        self.start += len(self._record_lines)
        self._record_lines.clear()

    def retry(self) -> None:
        """Start the next record on the line after this one's first: this one could not be read."""
        self._pending.extendleft(reversed(self._record_lines[1:]))
        self.start += 1
        self._record_lines.clear()


def read_table_rows(lines: Iterable[bytes], source: str, dialect: dict[str, Any]) -> Iterator[Record | BadRow]:
    """Yield a record for each row under the header, or the row's error; blank lines are skipped.

    Raises:
        DataError: the header cannot be read or has no ``text`` column.
    """
    rows = _rows(lines, source, dialect)
    header = next(rows, None)
    if header is None:
        return
    if isinstance(header, BadRow):
        raise DataError(f"{source}: the header cannot be read ({header.why}); expected columns text, text_pair, label")
    columns = header[1]
    check_columns(columns, source)
    for row in rows:
        if isinstance(row, BadRow):
            yield row
        elif not _is_blank(row[1], columns):
            yield _record(columns, *row, source)


def check_columns(columns: list[str], source: str) -> None:
    """Check that there is one ``text`` column, and that no column we read occurs twice.

    Raises:
        DataError: with the columns found.
    """
    found = ", ".join(columns) or "none"
    if "text" not in columns:
        raise DataError(f"{source}: no column named text; columns found: {found:.300}")
    twice = [name for name in ("text", "text_pair", "label") if columns.count(name) > 1]
    if twice:
        raise DataError(f"{source}: column {twice[0]} occurs twice; columns found: {found:.300}")


def _rows(lines: Iterable[bytes], source: str, dialect: dict[str, Any]) -> Iterator[tuple[int, list[str]] | BadRow]:
    """Yield each row's first line and its fields; after a broken row, continue with the line after its first."""
    source_lines = _Lines(lines)
    reader: _Reader = csv.reader(source_lines, **dialect)
    while True:
        start = source_lines.start
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(
                source,
                start,
                f"not readable as a row ({error}); quote fields that hold quotes or line ends, and close each",
            )
            source_lines.retry()
            reader = csv.reader(source_lines, **dialect)
            continue
        source_lines.next_record()
        if any("\udc80" <= character <= "\udcff" for text in fields if not text.isascii() for character in text):
            yield BadRow(source, start, "not valid UTF-8")
        elif fields:
            yield start, fields


def _is_blank(fields: list[str], columns: list[str]) -> bool:
    return len(fields) == 1 < len(columns) and not fields[0].strip()


def _record(columns: list[str], line: int, fields: list[str], source: str) -> Record | BadRow:
    if len(fields) != len(columns):
        return BadRow(source, line, f"expected {len(columns)} fields ({', '.join(columns):.200}), got {len(fields)}")
    record: dict[str, object] = dict(zip(columns, fields, strict=True))
    # A table has no null: an empty cell means that there is no second text.
    record["text_pair"] = record.get("text_pair") or None
    return Record(line, record)
