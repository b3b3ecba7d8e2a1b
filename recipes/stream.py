"""The texts that the student learns from: pieces of unlabelled reviews, and the task's own texts, in batches."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from tokenizers import Tokenizer
from torch import Tensor

from teacher import batches_by_length, padded

TOKENS = 4096  # a batch


def pieces(text: str, rng: random.Random) -> Iterator[str]:
    """Sentences of a review and, as SST-2 has them, some parts of sentences."""
    for sentence in re.split(r"(?<=[.!?])\s+|<br />|\n", text):
        words = sentence.split()
        if len(words) < 3:
            continue
        if rng.random() < 0.3 and len(words) > 4:
            length = rng.randint(2, len(words))
            first = rng.randint(0, len(words) - length)
            words = words[first : first + length]
        piece = " ".join(words)
        yield re.sub(r"n't\b", " n't", piece) if rng.random() < 0.5 else piece


def text_stream(corpus: list[str], task: list[str], share: float, rng: random.Random) -> Iterator[str]:
    """Without end: pieces of the corpus, and a ``share`` of the task's own texts."""
    while True:
        for text in rng.sample(corpus, len(corpus)):
            for piece in pieces(text, rng):
                while rng.random() < share:
                    yield rng.choice(task)
                yield piece


def batch_stream(texts: Iterator[str], tokenizer: Tokenizer, rng: random.Random) -> Iterator[tuple[Tensor, Tensor]]:
    """``(ids, mask)`` of about ``TOKENS`` tokens, rows of like length together."""
    while True:
        rows = [e.ids for e in tokenizer.encode_batch([next(texts) for _ in range(8192)])]
        for batch in batches_by_length([len(r) for r in rows], TOKENS, rng):
            yield padded([rows[i] for i in batch])
