"""Decode data files to lines: byte order marks, files that are not text, line ends."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from elbert.errors import DataError

# Longest mark first: UTF-32's little-endian mark starts with UTF-16's. The codecs without an ending remove their mark.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
OTHER_FILES = (
    (b"PAR1", "a parquet file; name it .parquet"),
    (b"\x1f\x8b", "compressed by gzip; decompress it"),
    (b"PK\x03\x04", "a zip archive, as .xlsx files are; unpack it, or save the table as .csv"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; decompress it"),
    (b"BZh", "compressed by bzip2; decompress it"),
    (b"\xfd7zXZ", "compressed by xz; decompress it"),
)
HEAD_BYTES = 4096
MAX_LINE = 1 << 28  # characters: a file without line ends must not fill the memory
MIN_WIDE = 6  # characters of a line from which alternating NULs mean UTF-16


def decode_lines(stream: Iterable[bytes | str], source: str) -> Iterator[str]:
    """Yield the lines of a file with their ends: ``\\n``, ``\\r\\n`` or, as on old Macs, ``\\r``.

    A byte order mark selects UTF-8, UTF-16 or UTF-32, and is removed; without one the encoding is UTF-8. Bytes that are
    not UTF-8 become lone surrogates (:func:`describe_bad_byte` names the first), so that only their row is rejected.

    Raises:
        DataError: the content is not text, or looks like UTF-16 or UTF-32 without a mark; no part of it is read then.
    """
    if not hasattr(stream, "read1"):  # text, or any iterable of lines
        yield from _split_lines(stream)
        return
    buffered: Any = stream if hasattr(stream, "peek") else io.BufferedReader(stream)
    encoding = choose_encoding(buffered.peek(HEAD_BYTES)[:HEAD_BYTES], source)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "surrogatepass"
    text = io.TextIOWrapper(buffered, encoding, errors, newline="")
    number = 0
    try:
        while line := text.readline(MAX_LINE):
            number += 1
            _check_line(line, number, source)
            yield line
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not valid {encoding.upper()} after line {number} ({error.reason})") from error
    finally:
        with suppress(ValueError):  # the stream is closed already
            text.detach()  # else its end would close the caller's stream


def choose_encoding(head: bytes, source: str) -> str:
    """Return the codec of a file from its first bytes.

    Raises:
        DataError: the file is not text, or looks like UTF-16 or UTF-32 without a byte order mark.
    """
    for magic, what in OTHER_FILES:
        if head.startswith(magic):
            raise DataError(f"{source}: is {what}")
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    if wide := _find_wide_encoding(head):
        raise DataError(f"{source}: looks like {wide} without a byte order mark; save it as UTF-8")
    return "utf-8"


def describe_bad_byte(line: str) -> str | None:
    """Return the first byte of a line that is not UTF-8, its position, and the remedy; None if all are."""
    if line.isascii():
        return None
    try:
        line.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x} at position {error.start}"
        return f"not valid UTF-8 ({found}); save the file as UTF-8"
    except UnicodeEncodeError:  # a lone surrogate of UTF-16: the row's check rejects it
        return None
    return None


def strip_line_end(line: str) -> str:
    """Return a line without its end."""
    return line.removesuffix("\n").removesuffix("\r")


def _find_wide_encoding(head: bytes) -> str | None:
    """Return the encoding whose high bytes alternate with low ones in ``head``, if one does."""
    whole = head[: len(head) // 4 * 4]
    for high, plane in ((3, 2), (0, 1)):
        low = whole[3 - high :: 4]
        if whole and not any(whole[high::4]) and max(whole[plane::4]) <= 0x10 and any(low):
            return "UTF-32"
    for high in (1, 0):
        highs, lows = head[high::2], head[1 - high :: 2]
        # The high bytes of Latin, Greek, Cyrillic, Hebrew, Arabic: control characters, which no text has so often.
        controls = _count_controls(highs)
        if len(head) > 3 and controls > 0.6 * len(highs) and _count_controls(lows) < 0.5 * controls:
            return "UTF-16"
        # Any other script: the line ends are two bytes long, and the rest is rarely UTF-8.
        pairs = [head[at : at + 2] for at in range(0, len(head), 2)]
        ends = pairs.count(b"\n\0" if high else b"\0\n")
        if ends > head.count(b"\n") / 2:
            return "UTF-16"
    return None


def _count_controls(data: bytes) -> int:
    return sum(byte < 0x20 and byte not in b"\t\n\r" for byte in data)


def _check_line(line: str, number: int, source: str) -> None:
    if len(line) == MAX_LINE:
        raise DataError(f"{source}: line {number} has more than {MAX_LINE:,} characters; expected one row a line")
    if "\0" in line and len(line) >= MIN_WIDE:
        inner = strip_line_end(line)
        # PowerShell's >> appends UTF-16 to files of any encoding.
        for high in (0, 1):
            if not inner[high::2].strip("\0") and "\0" not in inner[1 - high :: 2]:
                raise DataError(f"{source}: looks like UTF-16 from line {number} on; save the whole file as UTF-8")


def _split_lines(lines: Iterable[bytes | str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        text = line.decode("utf-8", "surrogateescape") if isinstance(line, bytes) else line
        yield from io.StringIO(text.removeprefix("\ufeff") if number == 0 else text, newline="")
