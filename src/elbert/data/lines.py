"""Formats with one row a line: plain text and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from elbert.data.decoding import describe_bad_byte, strip_line_end
from elbert.data.records import Record
from elbert.errors import BadRow, DataError

JSON_SPACE = " \t\r\n"


def read_text_rows(lines: Iterable[str], source: str) -> Iterator[Record | BadRow]:
    """Yield a record for each line, or the error of a line that cannot be read; a blank line is an empty text.

    Raises:
        DataError: the first line is a JSON object with a text: the file has JSON lines.
    """
    for number, line in enumerate(lines, start=1):
        if number == 1 and is_json_row(line):
            raise DataError(f"{source}: holds JSON lines, expected one text a line; name the file .jsonl")
        why = describe_bad_byte(line)
        yield Record(number, {"text": strip_line_end(line)}) if why is None else BadRow(source, number, why)


def read_json_rows(lines: Iterable[str], source: str) -> Iterator[Record | BadRow]:
    """Yield a record for each line's JSON object, or the line's error; blank lines are skipped.

    Raises:
        DataError: the first line is the header of a table.
    """
    is_first = True
    for number, line in enumerate(lines, start=1):
        if not line.strip(JSON_SPACE):
            continue
        if is_first and (ending := find_table_ending(line)):
            raise DataError(f"{source}: starts with a table's header, expected JSON lines; name the file {ending}")
        is_first = False
        if (why := describe_bad_byte(line)) is not None:
            yield BadRow(source, number, why)
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield BadRow(source, number, f"invalid JSON ({error})")
            continue
        if isinstance(found, dict):
            yield Record(number, found)
        else:
            kind = type(found).__name__
            yield BadRow(source, number, f'expected a JSON object such as {{"text": "…"}}, got {kind}')


def is_json_row(line: str) -> bool:
    """Whether a line is a JSON object with a text."""
    if not line.lstrip(JSON_SPACE).startswith("{"):
        return False
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("text"), str)


def find_table_ending(line: str) -> str | None:
    """Return the file ending of the table whose header a line is: ``.csv`` or ``.tsv``; None if it is no header."""
    if line.lstrip(JSON_SPACE).startswith("{"):
        return None
    for separator, ending in (("\t", ".tsv"), (",", ".csv"), (";", ".csv")):
        if separator in line and "text" in [name.strip(' "') for name in strip_line_end(line).split(separator)]:
            return ending
    return ".csv" if strip_line_end(line).strip(' "') == "text" else None
