"""Formats with a header row: comma- and tab-separated values.

Python's csv module limits the length of a field for the whole process, and after an error it continues in the middle
of the record. So records are split here; tests compare the result with that module's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from elbert.data.column_names import ALL_COLUMNS, DELIMITERS, Selection
from elbert.data.decoding import MAX_LINE, describe_bad_byte, strip_line_end
from elbert.data.lines import is_json_row
from elbert.data.records import Record
from elbert.errors import BadRow, DataError


@dataclass
class Row:
    """The fields of a record, and the line on which it starts; ``error`` is why it cannot be used."""

    line: int
    fields: list[str] = field(default_factory=list)
    error: str | None = None


Splitter = Callable[[Iterable[str], str], Iterator[Row]]


DECLARATION = re.compile(r"sep=(.)")  # the first line of files that are made for spreadsheets


def split_csv(lines: Iterable[str], source: str, delimiter: str = ",") -> Iterator[Row]:
    """Yield the rows of lines with a delimiter; a quoted field may hold it, line ends and doubled quotes.

    A row with an error has the lines that it would have without the error, so that none of them is read as a row of its
    own: text after a closing quote is part of the field, and a quote that is never closed reaches to the end.

    Raises:
        DataError: a field exceeds ``MAX_LINE`` characters.
    """
    numbered = enumerate(lines, start=1)
    for number, line in numbered:
        if not strip_line_end(line):
            continue
        row, at, end = Row(number), 0, 0
        while end >= 0:
            text, is_quoted = "", line.startswith('"', at)
            if is_quoted:
                text, line, at = _read_quoted(line, at + 1, numbered, source)
                if at < 0:
                    row.error = "a quote is opened and never closed; the row has all lines to the end of the file"
                    break
            end = line.find(delimiter, at)
            bare = strip_line_end(line[at:]) if end < 0 else line[at:end]
            if is_quoted and bare:
                row.error = "text after a closing quote; quote fields that hold quotes, and double the quotes inside"
            row.fields.append(text + bare)
            at = end + 1
        yield row


def split_tsv(lines: Iterable[str], source: str) -> Iterator[Row]:
    """Yield the rows of tab-separated lines.

    Every line is a row, and quotes are text: GLUE's files hold bare quotes, which would join whole lines.
    """
    for number, line in enumerate(lines, start=1):
        if content := strip_line_end(line):
            yield Row(number, content.split("\t"))


def _read_quoted(line: str, at: int, following: Iterator[tuple[int, str]], source: str) -> tuple[str, str, int]:
    """Return a field from behind its opening quote, the line on which it ends, and the position behind its end.

    The position is -1 if the lines end before the field.
    """
    parts: list[str] = []
    size = 0
    while True:
        end = line.find('"', at)
        if end >= 0 and not line.startswith('"', end + 1):
            return "".join([*parts, line[at:end]]), line, end + 1
        parts.append(line[at:] if end < 0 else line[at : end + 1])
        at = end + 2
        if end < 0:
            number, line = next(following, (0, ""))
            at = 0
            size += len(parts[-1])
            if size > MAX_LINE:
                raise DataError(f"{source}:{number}: a field of more than {MAX_LINE:,} characters; is a quote missing?")
            if not line:
                return "", "", -1


def read_table_rows(
    lines: Iterable[str], source: str, split: Splitter, selection: Selection = ALL_COLUMNS
) -> Iterator[Record | BadRow]:
    """Yield a record of the needed columns for each row under the header, or the row's error; blank lines are skipped.

    Raises:
        DataError: the header cannot be read, or a column is missing.
    """
    rows = split(lines, source)
    header = next(rows, None)
    if header is None:
        return
    if (error := _find_error(header)) is not None:
        raise DataError(
            f"{source}: the header cannot be read ({error!s:.300}); expected columns text, text_pair, label"
        )
    columns = header.fields
    _check_no_json("\t".join(columns), source)
    selection.check(columns, source)
    places = {name: columns.index(name) for name in selection.needed if name in columns}
    for row in rows:
        if row.error is not None or not _is_blank(row.fields, columns):
            yield _record(columns, places, row, source)


def read_csv_rows(lines: Iterable[str], source: str, selection: Selection) -> Iterator[Record | BadRow]:
    """Yield what :func:`read_table_rows` yields, of a csv file whose delimiter is found from its header.

    Raises:
        DataError: the header cannot be read, or a column is missing.
    """
    rest = iter(lines)
    before = list[str]()  # all lines up to the header's first
    for line in rest:
        before.append(line)
        if strip_line_end(line):
            break
    delimiter, header = selection.columns.delimiter, strip_line_end(before[-1]) if before else ""
    _check_no_json(header, source)  # before quotes are read, which JSON has in other places
    if (declared := DECLARATION.fullmatch(header)) is not None:
        delimiter, before[-1] = delimiter or declared[1], "\n"  # a blank line, so that line numbers stay
    elif delimiter is None:
        delimiter = find_delimiter(header, selection)
    yield from read_table_rows(chain(before, rest), source, partial(split_csv, delimiter=delimiter), selection)


def find_delimiter(header: str, selection: Selection) -> str:
    """Return the delimiter by which the columns that are read are found in a header: a comma unless another finds more.

    The header alone decides, since texts hold all of these characters.
    """

    def count(delimiter: str) -> tuple[int, int]:
        """Return how many of the columns are found, texts first; and where none is, how many columns there are."""
        fields = next(split_csv([header], "", delimiter), Row(1)).fields
        found = [name for name in selection.names.values() if name in fields]
        has_texts = any(name in found for name in (selection.names["text"], "tokens"))
        return len(found) if has_texts else 0, 0 if has_texts else len(fields)

    return max(DELIMITERS, key=count)  # the first of equals


def _check_no_json(header: str, source: str) -> None:
    if is_json_row(header):
        raise DataError(f"{source}: holds JSON lines, expected a table with a header; name the file .jsonl")


def _find_error(row: Row) -> str | None:
    if row.error is not None:
        return f"not readable as a row ({row.error})"
    return next(filter(None, map(describe_bad_byte, row.fields)), None)


def _is_blank(fields: list[str], columns: list[str]) -> bool:
    return len(fields) == 1 < len(columns) and not fields[0].strip()


def _record(columns: list[str], places: dict[str, int], row: Row, source: str) -> Record | BadRow:
    if row.error is not None:
        return BadRow(source, row.line, f"not readable as a row ({row.error})")
    if len(row.fields) != len(columns):
        got = len(row.fields)
        return BadRow(source, row.line, f"expected {len(columns)} fields ({', '.join(columns):.200}), got {got}")
    fields = {name: row.fields[place] for name, place in places.items()}
    if (error := next(filter(None, map(describe_bad_byte, fields.values())), None)) is not None:
        return BadRow(source, row.line, error)
    return Record(row.line, fields)
