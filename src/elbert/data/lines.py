"""Files whose row is one line: plain text and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from elbert.data.records import Record
from elbert.errors import BadRow

BOM = "\ufeff"


def text_rows(lines: Iterable[bytes | str], source: str) -> Iterator[Record | BadRow]:
    """Yield one record a line, or what is wrong with the line; a blank line is an empty text."""
    for number, line in enumerate(lines, start=1):
        try:
            yield Record(number, {"text": decode(line, first=number == 1)})
        except UnicodeDecodeError as error:
            yield BadRow(source, number, not_utf8(error))


def json_rows(lines: Iterable[bytes | str], source: str) -> Iterator[Record | BadRow]:
    """Yield one record for each line's JSON object, or what is wrong with the line; blank lines are skipped."""
    for number, line in enumerate(lines, start=1):
        try:
            text = decode(line, first=number == 1)
            if not text.strip():
                continue
            found = json.loads(text)
        except UnicodeDecodeError as error:
            yield BadRow(source, number, not_utf8(error))
        except (ValueError, RecursionError) as error:
            yield BadRow(source, number, f"invalid JSON ({error})")
        else:
            if isinstance(found, dict):
                yield Record(number, found)
            else:
                kind = type(found).__name__
                yield BadRow(source, number, f'expected a JSON object such as {{"text": "…"}}, came {kind}')


def decode(line: bytes | str, *, first: bool) -> str:
    """Return a line without its end and, on the first line, without a byte order mark.

    Raises:
        UnicodeDecodeError: the line is not UTF-8.
    """
    text = line.decode("utf-8") if isinstance(line, bytes) else line
    text = text.removesuffix("\n").removesuffix("\r")
    return text.removeprefix(BOM) if first else text


def not_utf8(error: UnicodeDecodeError) -> str:
    """Say which byte of a line is not UTF-8."""
    return f"not valid UTF-8 (byte {error.object[error.start]:#04x} at position {error.start})"
