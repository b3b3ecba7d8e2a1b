"""Pieces: which tokens of a row belong to its text, where in the text, and which of them begin a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Pieces:
    """The tokens of a text without the special tokens, in order.

    positions:    ``[pieces]``, the index of each in the row
    starts, ends: ``[pieces]``, its characters in the text
    is_first:     ``[pieces]``, whether it begins a word
    """

    positions: Ints
    starts: Ints
    ends: Ints
    is_first: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of pieces."""
        return len(self.positions)


NO_NUMBERS: Ints = np.zeros(0, np.int32)
NO_PIECES = Pieces(NO_NUMBERS, NO_NUMBERS, NO_NUMBERS, np.zeros(0, bool))


class PieceReader:
    """Finds the pieces of encodings. Words are those of transformers' token classification pipeline:

    where the tokenizer marks the pieces that continue a word (WordPiece's ``##``), by that mark, so that punctuation
    is a word of its own; else by the spaces of the text.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._has_marks = bool(getattr(tokenizer.model, "continuing_subword_prefix", None))
        unknown = getattr(tokenizer.model, "unk_token", None)
        self.unknown = None if unknown is None else tokenizer.token_to_id(unknown)

    def read(self, text: str, encoding: Encoding, kept: Sequence[int]) -> Pieces:
        """Return the pieces of a row; ``kept`` are the indices of its tokens in the encoding."""
        special, offsets, ids = encoding.special_tokens_mask, encoding.offsets, encoding.ids
        owners, tokens = encoding.sequence_ids, encoding.tokens if self._has_marks else ()
        found = [(place, index) for place, index in enumerate(kept) if owners[index] is not None and not special[index]]
        is_first = []
        for _, index in found:
            start, end = offsets[index]
            if ids[index] == self.unknown:
                is_first.append(True)
            elif self._has_marks:
                is_first.append(len(tokens[index]) == end - start)
            else:
                around = text[max(start - 1, 0) : start + 1]
                is_first.append(start == 0 or any(character.isspace() for character in around))
        spans = np.array([offsets[index] for _, index in found], np.int32).reshape(-1, 2)
        return Pieces(
            np.array([place for place, _ in found], np.int32), spans[:, 0], spans[:, 1], np.array(is_first, bool)
        )


def find_word_pieces(text: str, pieces: Pieces) -> list[int]:
    """Return the position of the first piece of each word of a text, -1 for a word without one.

    Words are separated by one space each, as those of data files are joined. A piece belongs to the word of its last
    character: some tokenizers put the space before a word into its first piece.
    """
    words = text.split(" ") if text else []
    starts = np.cumsum([0, *(len(word) + 1 for word in words)])[:-1]
    has_characters = pieces.ends > pieces.starts
    word = np.searchsorted(starts, pieces.ends[has_characters] - 1, side="right") - 1
    found = np.full(len(words), -1)
    seen, first = np.unique(word, return_index=True)
    found[seen] = pieces.positions[has_characters][first]
    return list(map(int, found))
