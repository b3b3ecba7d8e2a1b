"""Data files, read row by row."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from elbert.data.lines import json_rows, text_rows
from elbert.data.parquet import Part, parquet_parts, parquet_rows
from elbert.data.records import Example, Record, as_example
from elbert.data.tables import CSV, TSV, table_rows
from elbert.errors import BadRow, DataError

Rows = Iterator[Record | BadRow]

STDIN = "<stdin>"
LINE_READERS: dict[str, Callable[[Iterable[bytes], str], Rows]] = {
    ".csv": lambda lines, source: table_rows(lines, source, CSV),
    ".tsv": lambda lines, source: table_rows(lines, source, TSV),
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".txt": text_rows,
}
ENDINGS = (*LINE_READERS, ".parquet")


def read_examples(
    path: str,
    *,
    skip_bad: Callable[[BadRow], None] | None = None,
    stdin: TextIO | BinaryIO | None = None,
    part: Part | None = None,
) -> Iterator[Example]:
    """Read a data file in bounded memory; ``-`` is standard input (or ``stdin``), one text a line.

    The ending says the format: .csv, .tsv, .jsonl, .ndjson, .parquet, or .txt with one text a line. Columns are
    ``text``, and optionally ``text_pair`` and ``label``; others are ignored. A file without rows yields none.

    A row that cannot be used is raised, or, with ``skip_bad``, handed to it before reading goes on. ``part`` is one of
    :func:`parts_of` the file.

    Raises:
        DataError: there is no such file, or it cannot be read at all; a missing file or wrong ending at once.
        BadRow: a row cannot be used, and there is no ``skip_bad``.
    """
    if path == "-":
        return _examples(text_rows(_standard_input(stdin), STDIN), STDIN, skip_bad)
    _check(Path(path))
    return _examples(_rows(path, part), path, skip_bad)


def parts_of(path: str, rows: int) -> list[Part | None]:
    """Parts of a data file that can be read side by side, in order; None is the whole, where lines must be counted.

    Parts of a parquet file have ``rows`` rows or more, as its row groups have it.

    Raises:
        DataError: there is no such file, or it cannot be read at all.
    """
    _check(Path(path))
    return list(parquet_parts(path, rows)) if Path(path).suffix.lower() == ".parquet" else [None]


def _examples(rows: Rows, source: str, skip_bad: Callable[[BadRow], None] | None) -> Iterator[Example]:
    for row in rows:
        try:
            if isinstance(row, BadRow):
                raise row
            example = as_example(row, source)
        except BadRow as bad:
            if skip_bad is None:
                raise
            skip_bad(bad)
        else:
            yield example


def _rows(path: str, part: Part | None) -> Rows:
    ending = Path(path).suffix.lower()
    if ending == ".parquet":
        yield from parquet_rows(path, part)
        return
    try:
        with open(path, "rb") as lines:
            yield from LINE_READERS[ending](lines, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _check(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path}: is a folder, expected a file ending in {', '.join(ENDINGS)}")
    if path.suffix.lower() not in ENDINGS:
        raise DataError(f"{path}: unknown ending, expected {', '.join(ENDINGS)}, or - for standard input")
    if not path.exists():
        raise DataError(f"{path}: no such file")


def _standard_input(stdin: TextIO | BinaryIO | None) -> Iterable[bytes | str]:
    """Return the lines of standard input, as bytes where they can be had, so that one bad line stays one bad line."""
    stream = sys.stdin if stdin is None else stdin
    lines: Iterable[bytes | str] = getattr(stream, "buffer", stream)
    return lines
