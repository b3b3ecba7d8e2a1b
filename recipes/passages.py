"""What a base learns from: sentences, parts of them, passages and pairs of a corpus, in batches of one length."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer
from torch import Tensor

PART, PASSAGE, PAIR = 0.25, 0.25, 0.2  # how often a part of a sentence, a few sentences, two with a border between
POOL = 4096  # passages that are put into batches together
STRETCH = 4000  # characters of a text that are taken at a time
Row = tuple[list[int], list[int]]


def sentences(text: str) -> list[list[str]]:
    """The words of its sentences, those of three words and more."""
    cut = re.split(r"(?<=[.!?])\s+|<br />|\n", text)
    return [words for each in cut if len(words := each.split()) >= 3]


def pieces(text: str, rng: random.Random) -> Iterator[tuple[str, str | None]]:
    """``(text, text_pair)`` in the sentences' order, each sentence in at most one."""
    left = sentences(text)
    at = 0
    while at < len(left):
        way, count = rng.random(), 1
        if way < PART:
            words = left[at]
            length = rng.randint(2, len(words))
            first = rng.randint(0, len(words) - length)
            yield " ".join(words[first : first + length]), None
        elif way < PART + PASSAGE:
            count = rng.randint(2, 5)
            yield " ".join(word for words in left[at : at + count] for word in words), None
        elif way < PART + PASSAGE + PAIR and at + 1 < len(left):
            count = 2
            yield " ".join(left[at]), " ".join(left[at + 1])
        else:
            yield " ".join(left[at]), None
        at += count


def passages(corpora: list[list[str]], tokenizer: Tokenizer, rng: random.Random) -> Iterator[Row]:
    """Without end: ``(ids, types)`` of pieces; every file has an equal part.

    Books are thousands of sentences long: only a stretch is taken at a time, so that a batch has many authors.
    """
    while True:
        pool: list[tuple[str, str | None]] = []
        while len(pool) < POOL:
            text = rng.choice(rng.choice(corpora))
            begin = rng.randint(0, max(0, len(text) - STRETCH))
            pool += pieces(text[begin : begin + STRETCH], rng)
        rng.shuffle(pool)
        inputs = [first if second is None else (first, second) for first, second in pool]
        for encoded in tokenizer.encode_batch(inputs):
            yield encoded.ids, encoded.type_ids


def token_batches(rows: Iterator[Row], tokens: int) -> Iterator[tuple[Tensor, Tensor]]:
    """``(ids, types)``, each ``[rows, tokens of a row]``: rows of exactly one length, so that nothing is padded."""
    waiting: dict[int, list[Row]] = {}
    for row in rows:
        same = waiting.setdefault(len(row[0]), [])
        same.append(row)
        if len(same) * len(row[0]) >= tokens:
            del waiting[len(row[0])]
            yield torch.tensor([ids for ids, _ in same]), torch.tensor([types for _, types in same])
