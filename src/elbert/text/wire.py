"""The protocol-buffer wire format, as far as a SentencePiece model needs it.

Read by hand: the generated module pins a range of protobuf versions, and an inference install should not carry that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

Value = int | bytes

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WIDTH = {FIXED64: 8, FIXED32: 4}


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """Yield ``(field number, value)`` of one message, in order: an int for varints, bytes for everything else.

    Raises:
        ValueError: the bytes are not a message.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("field number 0")
        if kind == VARINT:
            number_read, at = _varint(message, at)
            yield number, number_read
            continue
        length, at = _varint(message, at) if kind == BYTES else (WIDTH.get(kind, -1), at)
        if length < 0:
            raise ValueError(f"wire type {kind}")
        if at + length > len(message):
            raise ValueError("the bytes end inside a field")
        yield number, message[at : at + length]
        at += length


def as_bytes(value: Value) -> bytes:
    """Return a length-delimited or fixed field's bytes.

    Raises:
        ValueError: the field is a varint.
    """
    if isinstance(value, int):
        raise ValueError("a number where bytes belong")
    return value


def as_int(value: Value) -> int:
    """Return a varint field's number.

    Raises:
        ValueError: the field is not a varint.
    """
    if not isinstance(value, int):
        raise ValueError("bytes where a number belongs")
    return value


def as_float(value: Value) -> float:
    """Return a 32-bit field as a float.

    Raises:
        ValueError: the field does not have four bytes.
    """
    raw = as_bytes(value)
    if len(raw) != 4:
        raise ValueError(f"{len(raw)} bytes where a 32-bit number belongs")
    (number,) = struct.unpack("<f", raw)
    return float(number)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 64, 7):
        if at >= len(message):
            raise ValueError("the bytes end inside a number")
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError("a number longer than 64 bits")
