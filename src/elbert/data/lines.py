"""Formats with one row a line: plain text and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from elbert.data.records import Record
from elbert.errors import BadRow

BOM = "\ufeff"


def read_text_rows(lines: Iterable[bytes | str], source: str) -> Iterator[Record | BadRow]:
    """Yield a record for each line, or the error of a line that cannot be read; a blank line is an empty text."""
    for number, line in enumerate(lines, start=1):
        try:
            yield Record(number, {"text": decode(line, first=number == 1)})
        except UnicodeDecodeError as error:
            yield BadRow(source, number, describe_bad_byte(error))


def read_json_rows(lines: Iterable[bytes | str], source: str) -> Iterator[Record | BadRow]:
    """Yield a record for each line's JSON object, or the line's error; blank lines are skipped."""
    for number, line in enumerate(lines, start=1):
        try:
            text = decode(line, first=number == 1)
            if not text.strip():
                continue
            found = json.loads(text)
        except UnicodeDecodeError as error:
            yield BadRow(source, number, describe_bad_byte(error))
        except (ValueError, RecursionError) as error:
            yield BadRow(source, number, f"invalid JSON ({error})")
        else:
            if isinstance(found, dict):
                yield Record(number, found)
            else:
                kind = type(found).__name__
                yield BadRow(source, number, f'expected a JSON object such as {{"text": "…"}}, got {kind}')


def decode(line: bytes | str, *, first: bool) -> str:
    """Return a line without its line end, and the first line without a byte order mark.

    Raises:
        UnicodeDecodeError: the line is not UTF-8.
    """
    text = line.decode("utf-8") if isinstance(line, bytes) else line
    text = text.removesuffix("\n").removesuffix("\r")
    return text.removeprefix(BOM) if first else text


def describe_bad_byte(error: UnicodeDecodeError) -> str:
    """Return the reason for rejecting a line that is not UTF-8: the first wrong byte and its position."""
    return f"not valid UTF-8 (byte {error.object[error.start]:#04x} at position {error.start})"
