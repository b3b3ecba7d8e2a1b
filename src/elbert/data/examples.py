"""Read data files row by row: the format is chosen by the file's ending."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from elbert.data.lines import read_json_rows, read_text_rows
from elbert.data.parquet import Part, list_parquet_parts, read_parquet_rows
from elbert.data.records import Example, Record, check_record
from elbert.data.tables import CSV, TSV, read_table_rows
from elbert.errors import BadRow, DataError

Rows = Iterator[Record | BadRow]

STDIN = "<stdin>"
LINE_READERS: dict[str, Callable[[Iterable[bytes], str], Rows]] = {
    ".csv": lambda lines, source: read_table_rows(lines, source, CSV),
    ".tsv": lambda lines, source: read_table_rows(lines, source, TSV),
    ".jsonl": read_json_rows,
    ".ndjson": read_json_rows,
    ".txt": read_text_rows,
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

    The file's ending selects the format: .csv, .tsv, .jsonl, .ndjson, .parquet (extra ``parquet``), or .txt with one
    text a line. Columns are ``text``, and optionally ``text_pair`` and ``label``; others are ignored. A file without
    rows yields none.

    A row that cannot be used raises an error; with ``skip_bad`` its error is passed to that function, and reading
    continues. ``part`` is one of :func:`list_parts` of the file.

    Raises:
        DataError: the file is missing or cannot be read. A missing file or an unknown ending raises at once, before the
            first row.
        BadRow: a row cannot be used, and there is no ``skip_bad``.
        MissingExtra: a parquet file, and pyarrow is not installed.
    """
    if path == "-":
        return _examples(read_text_rows(_standard_input(stdin), STDIN), STDIN, skip_bad)
    _check_file(Path(path))
    return _examples(_rows(path, part), path, skip_bad)


def list_parts(path: str, rows: int) -> list[Part | None]:
    """List the parts of a data file that workers can read in parallel, in order; ``[None]`` is the whole file.

    Only parquet files have parts: whole row groups, together ``rows`` rows or more. In other files the number of a line
    is known only by counting from the start.

    Raises:
        DataError: the file is missing or cannot be read.
        MissingExtra: a parquet file, and pyarrow is not installed.
    """
    _check_file(Path(path))
    return list(list_parquet_parts(path, rows)) if Path(path).suffix.lower() == ".parquet" else [None]


def _examples(rows: Rows, source: str, skip_bad: Callable[[BadRow], None] | None) -> Iterator[Example]:
    for row in rows:
        try:
            if isinstance(row, BadRow):
                raise row
            example = check_record(row, source)
        except BadRow as bad:
            if skip_bad is None:
                raise
            skip_bad(bad)
        else:
            yield example


def _rows(path: str, part: Part | None) -> Rows:
    ending = Path(path).suffix.lower()
    if ending == ".parquet":
        yield from read_parquet_rows(path, part)
        return
    try:
        with open(path, "rb") as lines:
            yield from LINE_READERS[ending](lines, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path}: is a folder, expected a file ending in {', '.join(ENDINGS)}")
    if path.suffix.lower() not in ENDINGS:
        raise DataError(f"{path}: unknown ending, expected {', '.join(ENDINGS)}, or - for standard input")
    if not path.exists():
        raise DataError(f"{path}: no such file")


def _standard_input(stdin: TextIO | BinaryIO | None) -> Iterable[bytes | str]:
    """Return the lines of standard input, as bytes where possible: a line that is not UTF-8 then fails alone."""
    stream = sys.stdin if stdin is None else stdin
    lines: Iterable[bytes | str] = getattr(stream, "buffer", stream)
    return lines
