"""Truncation of encodings: which tokens of a text, or of a pair of texts, a row keeps."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Encoding

from elbert.tokenization.tokens import Direction


def truncate(encoding: Encoding, max_length: int, direction: Direction = "right") -> tuple[list[int], list[int]]:
    """Return ids and type ids of a row truncated to ``max_length`` tokens; special tokens are kept.

    ``direction`` is the end at which a long text is cut.

    tokenizers' own truncation stores all overflowing pieces, for a pair each piece of one text with each of the other:
    memory grows with the square of the length (a pair of 40 kB takes more than a gigabyte).
    """
    kept = kept_indices(encoding.sequence_ids, max_length, direction)
    ids, type_ids = encoding.ids, encoding.type_ids
    return [ids[i] for i in kept], [type_ids[i] for i in kept]


def kept_indices(owners: Sequence[int | None], max_length: int, direction: Direction = "right") -> list[int]:
    """Return the indices of the tokens that truncation keeps.

    ``owners [tokens]`` is the text of each token, 0 or 1, or None for a special token.
    """
    if len(owners) <= max_length:
        return list(range(len(owners)))
    counts = owners.count(0), owners.count(1)
    kept = split_budget(*counts, max_length - owners.count(None))
    first = [0 if direction == "right" else count - some for count, some in zip(counts, kept, strict=True)]
    place = [0, 0]
    indices = []
    for index, owner in enumerate(owners):
        if owner is not None:
            place[owner] += 1
            if not first[owner] < place[owner] <= first[owner] + kept[owner]:
                continue
        indices.append(index)
    return indices


def split_budget(first: int, second: int, budget: int) -> tuple[int, int]:
    """Return how many tokens of each text to keep within ``budget``, as tokenizers' ``longest_first`` does."""
    short, long = sorted((first, second))
    long = min(long, max(short, budget - short))
    if short + long > budget:
        short, long = budget // 2, budget - budget // 2
    return (short, long) if first <= second else (long, short)
