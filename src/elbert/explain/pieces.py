"""Tokens and words of a text in readable form, for explanations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Encoding

from elbert.tokenization import Tokens
from elbert.tokenization.bounded_encoding import kept_indices
from elbert.tokenization.tokenizer_files import load_tokenizer
from elbert.tokenization.tokens import Text


@dataclass(frozen=True, slots=True)
class Piece:
    """One token.

    token:   as the vocabulary has it
    shown:   as the text has it; the token itself if it matches no part of the text
    special: whether the tokenizer added it, such as [CLS]
    glued:   whether no space separates it from the token before
    part:    0, or 1 for the second text of a pair; None for special tokens
    """

    token: str
    shown: str
    special: bool
    glued: bool
    part: int | None


def split_pieces(text: Text, tokens: Tokens, folder: Path, max_length: int) -> tuple[Piece, ...]:
    """One piece per token, for a text encoded with the tokenizer of ``folder``."""
    tokenizer, settings = load_tokenizer(folder)
    encoding = tokenizer.encode(*((text,) if isinstance(text, str) else text))
    kept = kept_indices(encoding.sequence_ids, max_length, settings["truncation_side"])
    if [encoding.ids[i] for i in kept] != tokens.ids:  # encoded with another tokenizer: the offsets do not apply
        names = [tokenizer.id_to_token(i) or f"#{i}" for i in tokens.ids]
        return tuple(Piece(name, name, special=False, glued=False, part=0) for name in names)
    return tuple(_align_pieces(encoding, kept, (text,) if isinstance(text, str) else text))


def _align_pieces(encoding: Encoding, kept: Sequence[int], parts: Sequence[str]) -> list[Piece]:
    owners, offsets, names = encoding.sequence_ids, encoding.offsets, encoding.tokens
    found: list[Piece] = []
    before: tuple[int, int, int] | None = None  # text, start and end of the last piece
    for index in kept:
        owner = owners[index]
        if owner is None:
            found.append(Piece(names[index], names[index], special=True, glued=False, part=None))
            continue
        start, end = offsets[index]
        raw = parts[owner][start:end]
        start += len(raw) - len(raw.lstrip())  # sentencepiece's tokens begin with the space before them
        here = (owner, start, end)
        # Byte tokens of one character all have its offsets; show it once.
        shown = raw.strip() if raw.strip() and here != before else names[index].strip("▁")
        glued = before is not None and before[0] == owner and start <= before[2]
        found.append(Piece(names[index], shown, special=False, glued=glued, part=owner))
        before = here
    return found


@dataclass(frozen=True, slots=True)
class Word:
    """Neighboring tokens that form one word; ``tokens`` are their indices."""

    shown: str
    special: bool
    glued: bool
    tokens: tuple[int, ...]


def join_words(pieces: Sequence[Piece]) -> tuple[Word, ...]:
    """Join tokens where letters or digits meet; punctuation stays separate."""
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
    """The ``count`` words with the most attention (``attention [tokens]``), and the sum over special tokens."""
    each = [(word, sum(attention[i] for i in word.tokens)) for word in join_words(pieces)]
    own = sorted(((word.shown, weight) for word, weight in each if not word.special), key=lambda pair: -pair[1])
    return own[:count], sum(weight for word, weight in each if word.special)
