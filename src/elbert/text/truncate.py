"""Cutting a row that is too long, the longer text first."""

from __future__ import annotations

from typing import Literal

from tokenizers import Encoding

Direction = Literal["left", "right"]


def kept_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many tokens of each text fit in ``room``, by the rule of tokenizers' ``longest_first``."""
    short, long = sorted((first, second))
    long = min(long, max(short, room - short))
    if short + long > room:
        short, long = room // 2, room - room // 2
    return (short, long) if first <= second else (long, short)


def truncate(encoding: Encoding, max_length: int, direction: Direction = "right") -> tuple[list[int], list[int]]:
    """Return the ids and type ids of a row cut to ``max_length`` tokens; its special tokens stay.

    ``direction`` is the end that a text which is too long loses.

    Cut here, because tokenizers keeps what it cuts off, for a pair every overflow of one text beside every overflow of
    the other: memory quadratic in the length (a pair of 40 kB takes more than a gigabyte).
    """
    owners = encoding.sequence_ids
    counts = owners.count(0), owners.count(1)
    kept = kept_lengths(*counts, max_length - owners.count(None))
    first = [0 if direction == "right" else count - some for count, some in zip(counts, kept, strict=True)]
    place = [0, 0]
    ids: list[int] = []
    type_ids: list[int] = []
    for owner, token, kind in zip(owners, encoding.ids, encoding.type_ids, strict=True):
        if owner is not None:
            place[owner] += 1
            if not first[owner] < place[owner] <= first[owner] + kept[owner]:
                continue
        ids.append(token)
        type_ids.append(kind)
    return ids, type_ids
