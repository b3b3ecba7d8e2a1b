"""Read a SentencePiece unigram model file (``spiece.model``) without the protobuf package."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elbert._display import quote_error
from elbert.errors import BundleError

Value = int | bytes
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WIDTH = {FIXED64: 8, FIXED32: 4}
UNIGRAM = 1
TRIE_BLOCK = 1024  # bytes of 256 units, the least size of a trie
MODEL_TYPES = {1: "unigram", 2: "BPE", 3: "word", 4: "char"}
UNKNOWN_PIECE = 2
REMEDY = "download spiece.model again from where the model came from, or put its tokenizer.json beside it"


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry of the vocabulary; ``kind`` is SentencePiece's (1 normal, 2 unknown, 3 control, 4 user-defined)."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True, slots=True)
class SentencePieceModel:
    """The content of a ``spiece.model``: its pieces in id order and the compiled table of its normaliser."""

    pieces: list[Piece]
    charsmap: bytes
    byte_fallback: bool

    @property
    def unk_id(self) -> int:
        """The id of the unknown piece."""
        return next(i for i, piece in enumerate(self.pieces) if piece.kind == UNKNOWN_PIECE)


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Read a SentencePiece unigram model.

    Raises:
        BundleError: the file is damaged, is not a unigram model, or treats whitespace differently from ALBERT's.
    """
    try:
        message = path.read_bytes()
        return _parse_model(message)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: not a SentencePiece unigram model ({quote_error(error)}); {REMEDY}") from error


def _parse_model(message: bytes) -> SentencePieceModel:
    pieces: list[Piece] = []
    trainer: bytes | None = None
    normaliser: bytes | None = None
    for number, value in read_fields(message):
        if number == 1:
            pieces.append(_parse_piece(as_bytes(value)))
        elif number == 2:
            trainer = as_bytes(value)
        elif number == 3:
            normaliser = as_bytes(value)
    if trainer is None or normaliser is None:
        raise ValueError(f"the bytes end after {len(pieces)} pieces, before the settings")
    byte_fallback = _check_trainer(trainer)
    charsmap = _check_normaliser(normaliser)
    if sum(piece.kind == UNKNOWN_PIECE for piece in pieces) != 1:
        raise ValueError(f"{len(pieces)} pieces without one unknown piece")
    return SentencePieceModel(pieces, charsmap, byte_fallback)


def _parse_piece(message: bytes) -> Piece:
    text, score, kind = "", 0.0, 1
    for number, value in read_fields(message):
        if number == 1:
            text = as_bytes(value).decode("utf-8")
        elif number == 2:
            score = as_float(value)
        elif number == 3:
            kind = as_int(value)
    if not text or not math.isfinite(score):
        raise ValueError(f"piece {text!r} with score {score}")
    return Piece(text, score, kind)


def _check_trainer(message: bytes) -> bool:
    """Check the model's type and whitespace; return whether unknown characters fall back to bytes."""
    settings = dict(read_fields(message))
    kind = as_int(settings.get(3, UNIGRAM))
    if kind != UNIGRAM:
        raise ValueError(f"its type is {MODEL_TYPES.get(kind, kind)}")
    if as_int(settings.get(24, 0)):
        raise ValueError("it writes whitespace as a suffix, ALBERT's as a prefix")
    return bool(as_int(settings.get(35, 0)))


def _check_normaliser(message: bytes) -> bytes:
    """Check that whitespace is treated as in ALBERT; return the compiled table of characters."""
    settings = dict(read_fields(message))
    for number, name in ((3, "add_dummy_prefix"), (4, "remove_extra_whitespaces"), (5, "escape_whitespaces")):
        if not as_int(settings.get(number, 1)):
            raise ValueError(f"its {name} is off, ALBERT's is on")
    charsmap = as_bytes(settings.get(2, b""))
    if charsmap:
        check_charsmap(charsmap)
    return charsmap


def check_charsmap(table: bytes) -> None:
    """Check the head of a compiled table of characters: tokenizers would end with a panic.

    It is the size of a double-array trie, the trie, and the normalised characters in UTF-8.

    Raises:
        ValueError: the table is damaged.
    """
    size = int.from_bytes(table[:4], "little")
    if size % 4 or not TRIE_BLOCK <= size <= len(table) - 4:
        raise ValueError(f"the table of characters has {len(table)} bytes, of which {size} are its trie")
    table[4 + size :].decode("utf-8")
    units = struct.unpack(f"<{size // 4}I", table[4 : 4 + size])
    base = _read_offset(units[0])
    children = [base ^ byte for byte in range(1, 256)]
    if max(children) >= len(units):
        raise ValueError("the trie of its table of characters leads out of it")
    for child, byte in zip(children, range(1, 256), strict=True):
        if units[child] & 0x800000FF == byte and (child ^ _read_offset(units[child])) | 0xFF >= len(units):
            raise ValueError("the trie of its table of characters leads out of it")


def _read_offset(unit: int) -> int:
    return (unit >> 10) << ((unit & (1 << 9)) >> 6)


def read_fields(message: bytes) -> Iterator[tuple[int, Value]]:
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


def as_bytes(value: Value) -> bytes:
    """Return a length-delimited or fixed field's bytes.

    Raises:
        ValueError: the field is a varint.
    """
    if isinstance(value, int):
        raise ValueError("a number, expected bytes")
    return value


def as_int(value: Value) -> int:
    """Return a varint field's number.

    Raises:
        ValueError: the field is not a varint.
    """
    if not isinstance(value, int):
        raise ValueError("bytes, expected a number")
    return value


def as_float(value: Value) -> float:
    """Return a 32-bit field as a float.

    Raises:
        ValueError: the field does not have four bytes.
    """
    raw = as_bytes(value)
    if len(raw) != 4:
        raise ValueError(f"{len(raw)} bytes, expected a 32-bit number")
    (number,) = struct.unpack("<f", raw)
    return float(number)
