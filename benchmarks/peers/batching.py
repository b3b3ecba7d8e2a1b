"""Length-sorted, padded batches, as careful users of a runtime make them, and the order restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peers.workshop import Classify

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
Batch = dict[str, NDArray[np.int64]]
"""The three inputs of ALBERT by name, each ``[rows, tokens]``."""
Run = Callable[[Batch], NDArray[np.float32]]
"""One padded batch in, probabilities ``[rows, classes]`` out."""


def batched(folder: Path, rows: int, run: Run) -> Classify:
    """Tokenise all texts with transformers' fast tokenizer, run ``rows`` of like length at a time."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    padding = tokenizer.pad_token_id

    def classify(texts: Sequence[str]) -> NDArray[np.float32]:
        tokens = tokenizer(list(texts), truncation=True, return_attention_mask=False)["input_ids"]
        order = by_length(tokens)
        sorted_probabilities = np.concatenate([run(padded(rows_, padding)) for rows_ in chunks(tokens, order, rows)])
        return restored(sorted_probabilities, order)

    return classify


def by_length(tokens: Sequence[Sequence[int]]) -> list[int]:
    """Positions of the rows, shortest row first."""
    return sorted(range(len(tokens)), key=lambda row: len(tokens[row]))


def chunks(tokens: Sequence[Sequence[int]], order: Sequence[int], rows: int) -> Iterator[list[Sequence[int]]]:
    """The rows in that order, ``rows`` at a time."""
    for start in range(0, len(order), rows):
        yield [tokens[row] for row in order[start : start + rows]]


def padded(rows: Sequence[Sequence[int]], padding: int) -> Batch:
    """Rows filled up to the longest of them; the mask marks the real tokens."""
    shape = (len(rows), max(len(row) for row in rows))
    ids, mask = np.full(shape, padding, np.int64), np.zeros(shape, np.int64)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row
        mask[at, : len(row)] = 1
    return dict(zip(INPUTS, (ids, mask, np.zeros(shape, np.int64)), strict=True))


def restored(values: NDArray[np.float32], order: Sequence[int]) -> NDArray[np.float32]:
    """Undo a sort: row ``k`` of ``values`` belongs at position ``order[k]``."""
    back = np.empty_like(values, dtype=np.float32)
    back[list(order)] = values
    return back
