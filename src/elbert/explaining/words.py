"""Words out of tokens, and what attention they get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from elbert.explaining.pieces import Piece


@dataclass(frozen=True, slots=True)
class Word:
    """Neighbouring tokens that the text writes as one word; ``tokens`` are their places."""

    shown: str
    special: bool
    glued: bool
    tokens: tuple[int, ...]


def words(pieces: Sequence[Piece]) -> tuple[Word, ...]:
    """Tokens put together again where letters meet letters; punctuation stays by itself."""
    groups: list[list[int]] = []
    for index, piece in enumerate(pieces):
        before = pieces[index - 1].shown if index else ""
        joins = piece.glued and before[-1:].isalnum() and piece.shown[:1].isalnum()
        if joins:
            groups[-1].append(index)
        else:
            groups.append([index])
    return tuple(
        Word("".join(pieces[i].shown for i in g), pieces[g[0]].special, pieces[g[0]].glued, tuple(g)) for g in groups
    )


def most_attended(
    pieces: Sequence[Piece], attention: Sequence[float], count: int
) -> tuple[list[tuple[str, float]], float]:
    """The ``count`` words of the text that get most of ``attention [tokens]``, and what special tokens get."""
    each = [(word, sum(attention[i] for i in word.tokens)) for word in words(pieces)]
    own = sorted(((word.shown, given) for word, given in each if not word.special), key=lambda pair: -pair[1])
    return own[:count], sum(given for word, given in each if word.special)
