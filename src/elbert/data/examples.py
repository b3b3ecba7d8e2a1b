"""Read data files row by row: the format is chosen by the file's ending."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

from elbert.data.conll import read_conll_rows
from elbert.data.decoding import decode_lines
from elbert.data.lines import read_json_rows, read_text_rows
from elbert.data.parquet import Part, list_parquet_parts, read_parquet_rows
from elbert.data.records import COLUMNS, INPUT_COLUMNS, Example, Record, check_record
from elbert.data.tables import read_table_rows, split_csv, split_tsv
from elbert.errors import BadRow, DataError

Rows = Iterator[Record | BadRow]

STDIN = "<stdin>"
# From lines, the name of their source, and the columns that are read.
LINE_READERS: dict[str, Callable[[Iterable[str], str, Sequence[str]], Rows]] = {
    ".csv": lambda lines, source, columns: read_table_rows(lines, source, split_csv, columns),
    ".tsv": lambda lines, source, columns: read_table_rows(lines, source, split_tsv, columns),
    ".jsonl": lambda lines, source, _: read_json_rows(lines, source),
    ".ndjson": lambda lines, source, _: read_json_rows(lines, source),
    ".conll": lambda lines, source, _: read_conll_rows(lines, source),
    ".txt": lambda lines, source, _: read_text_rows(lines, source),
}
ENDINGS = (*LINE_READERS, ".parquet")


def read_examples(
    path: str,
    *,
    skip_bad: Callable[[BadRow], None] | None = None,
    stdin: TextIO | BinaryIO | None = None,
    part: Part | None = None,
    labels: bool = True,
) -> Iterator[Example]:
    """Read a data file in bounded memory; ``-`` is standard input (or ``stdin``), one text a line.

    The file's ending selects the format: .csv, .tsv, .jsonl, .ndjson, .parquet (extra ``parquet``), .conll, or .txt
    with one text a line. Columns are ``text``, and optionally ``text_pair`` and ``label``; others are ignored. An empty
    ``text_pair`` is no second text. Rows of words have the lists ``tokens`` and optionally ``tags`` instead, as .conll
    files have. Files are UTF-8, or UTF-16 or UTF-32 with a byte order mark. A file without rows yields none.

    A row that cannot be used raises an error; with ``skip_bad`` its error is passed to that function, and reading
    continues. ``part`` is one of :func:`list_parts` of the file. Without ``labels``, the column ``label`` is ignored
    too: one that is damaged or occurs twice then does not matter.

    Raises:
        DataError: the file is missing or cannot be read. A missing file or an unknown ending raises at once, before the
            first row.
        BadRow: a row cannot be used, and there is no ``skip_bad``.
        MissingExtra: a parquet file, and pyarrow is not installed.
    """
    if path == "-":
        return check_records(read_text_rows(decode_lines(_standard_input(stdin), STDIN), STDIN), STDIN, skip_bad)
    _check_file(Path(path))
    return check_records(_rows(path, part, COLUMNS if labels else INPUT_COLUMNS), path, skip_bad)


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


def check_records(rows: Rows, source: str, skip_bad: Callable[[BadRow], None] | None) -> Iterator[Example]:
    """Yield the example of each row; the error of a bad one is raised, or passed to ``skip_bad``."""
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


def _rows(path: str, part: Part | None, columns: Sequence[str]) -> Rows:
    ending = Path(path).suffix.lower()
    if ending == ".parquet":
        yield from read_parquet_rows(path, part, columns)
        return
    try:
        with open(path, "rb") as stream:
            yield from LINE_READERS[ending](decode_lines(stream, path), path, columns)
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
    """Return standard input, as bytes where possible: a line that is not UTF-8 then fails alone."""
    stream = sys.stdin if stdin is None else stdin
    lines: Iterable[bytes | str] = getattr(stream, "buffer", stream)
    return lines
