"""Lists that are ranked: JSON lines with a query and its texts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from elbert.data.decoding import decode_lines
from elbert.data.lines import read_json_rows
from elbert.data.records import Record
from elbert.errors import BadRow, DataError

LIST_ENDINGS = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class QueryList:
    """A query and the texts to rank, with file and line."""

    query: str
    texts: list[str]
    line: int
    source: str = ""

    def bad_row(self, why: str) -> BadRow:
        """Return an error for this list, with its file and line."""
        return BadRow(self.source, self.line, why)


def is_list_file(path: str) -> bool:
    """Whether a file can hold lists, by its ending."""
    return Path(path).suffix.lower() in LIST_ENDINGS


def read_query_lists(
    path: str,
    *,
    skip_bad: Callable[[BadRow], None] | None = None,
    stdin: TextIO | BinaryIO | None = None,
) -> Iterator[QueryList]:
    """Read ``{"query": …, "texts": […]}`` line by line from a jsonl file; ``-`` is standard input, or ``stdin``.

    A list that cannot be used raises an error; with ``skip_bad`` its error is passed to that function, and reading
    continues.

    Raises:
        DataError: the file is missing, has another ending, or cannot be read. It raises at once.
        BadRow: a list cannot be used, and there is no ``skip_bad``.
    """
    if path != "-":
        if not is_list_file(path):
            raise DataError(f'{path}: expected {" or ".join(LIST_ENDINGS)} with lines {{"query": …, "texts": […]}}')
        if not Path(path).is_file():
            raise DataError(f"{path}: no such file")
    return check_lists(_read(path, stdin), "<stdin>" if path == "-" else path, skip_bad)


def check_lists(
    rows: Iterable[Record | BadRow], source: str, skip_bad: Callable[[BadRow], None] | None
) -> Iterator[QueryList]:
    """Yield the list of each row; the error of a bad one is raised, or passed to ``skip_bad``."""
    for row in rows:
        try:
            if isinstance(row, BadRow):
                raise row
            found = check_query_list(row, source)
        except BadRow as bad:
            if skip_bad is None:
                raise
            skip_bad(bad)
        else:
            yield found


def check_query_list(record: Record, source: str) -> QueryList:
    """Return the list of a record.

    Raises:
        BadRow: the query is no string, or the texts are no list of strings, or none.
    """
    query, texts = record.fields.get("query"), record.fields.get("texts")
    if not isinstance(query, str):
        raise BadRow(source, record.line, f"query is {_kind(query)}, expected a string")
    if not isinstance(texts, list) or not texts:
        raise BadRow(source, record.line, f"texts are {_kind(texts)}, expected a list of one or more strings")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise BadRow(source, record.line, f"text {number} is {_kind(text)}, expected a string")
    return QueryList(query, texts, record.line, source)


def _read(path: str, stdin: TextIO | BinaryIO | None) -> Iterator[Record | BadRow]:
    if path == "-":
        stream = sys.stdin if stdin is None else stdin
        yield from read_json_rows(decode_lines(getattr(stream, "buffer", stream), "<stdin>"), "<stdin>")
        return
    try:
        with open(path, "rb") as opened:
            yield from read_json_rows(decode_lines(opened, path), path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _kind(value: object) -> str:
    if value is None or value == []:
        return "missing or null" if value is None else "an empty list"
    return f"{type(value).__name__} {value!r:.60}"
