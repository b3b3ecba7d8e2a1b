"""Read data files row by row: the format is chosen by the file's ending."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

from elbert.data.column_names import ALL_COLUMNS, DEFAULT_COLUMNS, Columns, Selection
from elbert.data.conll import read_conll_rows
from elbert.data.decoding import decode_lines
from elbert.data.lines import read_json_rows, read_text_rows
from elbert.data.parquet import Part, list_parquet_parts, read_parquet_rows
from elbert.data.records import Example, Record, check_record
from elbert.data.tables import read_csv_rows, read_table_rows, split_tsv
from elbert.errors import BadRow, DataError, InputError

Rows = Iterator[Record | BadRow]

STDIN = "<stdin>"
# From lines, the name of their source, and the columns that are read.
LINE_READERS: dict[str, Callable[[Iterable[str], str, Selection], Rows]] = {
    ".csv": read_csv_rows,
    ".tsv": lambda lines, source, selection: read_table_rows(lines, source, split_tsv, selection),
    ".jsonl": lambda lines, source, _: read_json_rows(lines, source),
    ".ndjson": lambda lines, source, _: read_json_rows(lines, source),
    ".conll": lambda lines, source, _: read_conll_rows(lines, source),
    ".txt": lambda lines, source, _: read_text_rows(lines, source),
}
ENDINGS = (*LINE_READERS, ".parquet")
WITHOUT_COLUMNS = (".txt", ".conll")


def read_examples(
    path: str,
    *,
    skip_bad: Callable[[BadRow], None] | None = None,
    stdin: TextIO | BinaryIO | None = None,
    part: Part | None = None,
    labels: bool = True,
    needs_labels: bool = False,
    columns: Columns = DEFAULT_COLUMNS,
    keep: Sequence[str] = (),
) -> Iterator[Example]:
    """Read a data file in bounded memory; ``-`` is standard input (or ``stdin``), one text a line.

    The file's ending selects the format: .csv, .tsv, .jsonl, .ndjson, .parquet (extra ``parquet``), .conll, or .txt
    with one text a line. Columns are ``text``, and optionally ``text_pair`` and ``label``; ``columns`` names others.
    Further columns are ignored, except those that ``keep`` names, which are kept in ``Example.kept``. An empty
    ``text_pair`` is no second text. Rows of words have the lists ``tokens`` and optionally ``tags`` instead, as .conll
    files have. Files are UTF-8, or UTF-16 or UTF-32 with a byte order mark. A file without rows yields none.

    A row that cannot be used raises an error; with ``skip_bad`` its error is passed to that function, and reading
    continues. ``part`` is one of :func:`list_parts` of the file. Without ``labels``, the column ``label`` is ignored
    too: one that is damaged or occurs twice then does not matter. With ``needs_labels``, a table without that column is
    an error, and a row without a label is a bad row.

    Raises:
        DataError: the file is missing or cannot be read, or a column is missing. A missing file or an unknown ending
            raises at once, before the first row.
        InputError: the delimiter is for another format, or columns are named of a format that has none.
        BadRow: a row cannot be used, and there is no ``skip_bad``.
        MissingExtra: a parquet file, and pyarrow is not installed.
    """
    selection = Selection(columns, labels, needs_labels, tuple(keep))
    _check_format(path, selection)
    if path == "-":
        lines = decode_lines(_standard_input(stdin), STDIN)
        return check_records(read_text_rows(lines, STDIN), STDIN, skip_bad, selection)
    _check_file(Path(path))
    return check_records(_rows(path, part, selection), path, skip_bad, selection)


def has_pairs(path: str, columns: Columns = DEFAULT_COLUMNS) -> bool:
    """Whether a data file has a column of second texts: one that is named, or that the first row has.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    if columns.text_pair_column is not None:
        return True
    _check_file(Path(path))
    rows = _rows(path, None, Selection(columns, labels=False))
    first = next((row for row in rows if isinstance(row, Record)), None)
    return first is not None and columns.names["text_pair"] in first.fields


def list_parts(path: str, rows: int, columns: Columns = DEFAULT_COLUMNS) -> list[Part | None]:
    """List the parts of a data file that workers can read in parallel, in order; ``[None]`` is the whole file.

    Only parquet files have parts: whole row groups, together ``rows`` rows or more. In other files the number of a line
    is known only by counting from the start.

    Raises:
        DataError: the file is missing or cannot be read.
        MissingExtra: a parquet file, and pyarrow is not installed.
    """
    _check_file(Path(path))
    is_parquet = Path(path).suffix.lower() == ".parquet"
    return list(list_parquet_parts(path, rows, Selection(columns))) if is_parquet else [None]


def check_records(
    rows: Rows, source: str, skip_bad: Callable[[BadRow], None] | None, selection: Selection = ALL_COLUMNS
) -> Iterator[Example]:
    """Yield the example of each row; the error of a bad one is raised, or passed to ``skip_bad``.

    Raises:
        DataError: the first row lacks a column to keep; later ones may, as JSON objects leave out what is null.
    """
    is_first = True
    for row in rows:
        try:
            if isinstance(row, BadRow):
                raise row
            if is_first and (missing := selection.find_missing_kept(row.fields)) is not None:
                raise DataError(f"{source}:{row.line}: {selection.describe_missing(missing, row.fields)}")
            is_first = False
            example = check_record(row, source, selection)
        except BadRow as bad:
            if skip_bad is None:
                raise
            skip_bad(bad)
        else:
            yield example


def _rows(path: str, part: Part | None, selection: Selection) -> Rows:
    ending = Path(path).suffix.lower()
    if ending == ".parquet":
        yield from read_parquet_rows(path, part, selection)
        return
    try:
        with open(path, "rb") as stream:
            yield from LINE_READERS[ending](decode_lines(stream, path), path, selection)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _check_format(path: str, selection: Selection) -> None:
    ending = "standard input" if path == "-" else Path(path).suffix.lower()
    if (path == "-" or ending in WITHOUT_COLUMNS) and (selection.keep or not selection.columns.is_default):
        used = "keep (--keep)" if selection.keep else "the name of a column"
        raise InputError(f"{path}: {used} is for tables, and {ending} has no columns; expected csv, jsonl, parquet")
    delimiter = selection.columns.delimiter
    if delimiter is not None and ending != ".csv" and (ending, delimiter) != (".tsv", "\t"):
        raise InputError(f"{path}: delimiter (--delimiter) {delimiter!r} is for csv files; leave it out for {ending}")


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
