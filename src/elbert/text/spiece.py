"""A SentencePiece unigram model file, read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from elbert.errors import BundleError
from elbert.text import wire

UNIGRAM = 1
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
class Spiece:
    """What a ``spiece.model`` says: its pieces in id order and the compiled table of its normaliser."""

    pieces: list[Piece]
    charsmap: bytes
    byte_fallback: bool

    @property
    def unk_id(self) -> int:
        """The id of the unknown piece."""
        return next(i for i, piece in enumerate(self.pieces) if piece.kind == UNKNOWN_PIECE)


def read_spiece(path: Path) -> Spiece:
    """Read a SentencePiece unigram model.

    Raises:
        BundleError: the file is damaged, is not a unigram model, or treats whitespace unlike ALBERT's.
    """
    try:
        message = path.read_bytes()
        return _model(message)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: not a SentencePiece unigram model ({error}); {REMEDY}") from error


def _model(message: bytes) -> Spiece:
    pieces: list[Piece] = []
    trainer: bytes | None = None
    normaliser: bytes | None = None
    for number, value in wire.fields(message):
        if number == 1:
            pieces.append(_piece(wire.as_bytes(value)))
        elif number == 2:
            trainer = wire.as_bytes(value)
        elif number == 3:
            normaliser = wire.as_bytes(value)
    if trainer is None or normaliser is None:
        raise ValueError(f"the bytes end after {len(pieces)} pieces, before how to use them")
    byte_fallback = _trainer(trainer)
    charsmap = _normaliser(normaliser)
    if sum(piece.kind == UNKNOWN_PIECE for piece in pieces) != 1:
        raise ValueError(f"{len(pieces)} pieces without one unknown piece")
    return Spiece(pieces, charsmap, byte_fallback)


def _piece(message: bytes) -> Piece:
    text, score, kind = "", 0.0, 1
    for number, value in wire.fields(message):
        if number == 1:
            text = wire.as_bytes(value).decode("utf-8")
        elif number == 2:
            score = wire.as_float(value)
        elif number == 3:
            kind = wire.as_int(value)
    if not text or not math.isfinite(score):
        raise ValueError(f"piece {text!r} with score {score}")
    return Piece(text, score, kind)


def _trainer(message: bytes) -> bool:
    """Check that the model is one this package can run; return whether it falls back to bytes."""
    said = dict(wire.fields(message))
    kind = wire.as_int(said.get(3, UNIGRAM))
    if kind != UNIGRAM:
        raise ValueError(f"its type is {MODEL_TYPES.get(kind, kind)}")
    if wire.as_int(said.get(24, 0)):
        raise ValueError("it writes whitespace as a suffix, ALBERT's as a prefix")
    return bool(wire.as_int(said.get(35, 0)))


def _normaliser(message: bytes) -> bytes:
    """Check that whitespace is treated as ALBERT treats it; return the compiled table of characters."""
    said = dict(wire.fields(message))
    for number, name in ((3, "add_dummy_prefix"), (4, "remove_extra_whitespaces"), (5, "escape_whitespaces")):
        if not wire.as_int(said.get(number, 1)):
            raise ValueError(f"its {name} is off, ALBERT's is on")
    return wire.as_bytes(said.get(2, b""))
