"""The tokens and words of a text in readable form, with the attention they receive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Encoding

from elbert.texts import Text
from elbert.tokenization import Tokens
from elbert.tokenization.tokenizer import kept_lengths
from elbert.tokenization.tokenizer_files import find_tokenizer


@dataclass(frozen=True, slots=True)
class Piece:
    """One token.

    token:   as the vocabulary has it
    shown:   as the text has it; the token itself where it stands for no piece of the text
    special: whether it is none of the text's own, as [CLS] is
    glued:   whether no space stands between it and the token before
    part:    0, or 1 for the second text of a pair; None for special tokens
    """

    token: str
    shown: str
    special: bool
    glued: bool
    part: int | None


def pieces(text: Text, tokens: Tokens, folder: Path, max_length: int) -> tuple[Piece, ...]:
    """The tokens of a text that was tokenised by the tokenizer of ``folder``, one piece per token."""
    tokenizer, _ = find_tokenizer(folder)
    encoding = tokenizer.encode(*((text,) if isinstance(text, str) else text))
    kept = survivors(encoding.sequence_ids, max_length)
    if [encoding.ids[i] for i in kept] != tokens.ids:  # a tokeniser that is not this folder's
        names = [tokenizer.id_to_token(i) or f"#{i}" for i in tokens.ids]
        return tuple(Piece(name, name, special=False, glued=False, part=0) for name in names)
    return tuple(_pieces(encoding, kept, (text,) if isinstance(text, str) else text))


def survivors(owners: Sequence[int | None], max_length: int) -> list[int]:
    """Which tokens of an encoding stay when it is cut to ``max_length``: special ones, and the head of each text."""
    if len(owners) <= max_length:
        return list(range(len(owners)))
    first, second = owners.count(0), owners.count(1)
    left = list(kept_lengths(first, second, max_length - owners.count(None)))
    kept = []
    for index, owner in enumerate(owners):
        if owner is not None:
            left[owner] -= 1
        if owner is None or left[owner] >= 0:
            kept.append(index)
    return kept


def _pieces(encoding: Encoding, kept: Sequence[int], parts: Sequence[str]) -> list[Piece]:
    owners, offsets, names = encoding.sequence_ids, encoding.offsets, encoding.tokens
    found: list[Piece] = []
    before: tuple[int, int, int] | None = None  # whose text, and from where to where the last piece stood in it
    for index in kept:
        owner = owners[index]
        if owner is None:
            found.append(Piece(names[index], names[index], special=True, glued=False, part=None))
            continue
        start, end = offsets[index]
        raw = parts[owner][start:end]
        start += len(raw) - len(raw.lstrip())  # sentencepiece's tokens begin with the space before them
        here = (owner, start, end)
        # Bytes of one character all point to it; it is shown once.
        shown = raw.strip() if raw.strip() and here != before else names[index].strip("▁")
        glued = before is not None and before[0] == owner and start <= before[2]
        found.append(Piece(names[index], shown, special=False, glued=glued, part=owner))
        before = here
    return found


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
