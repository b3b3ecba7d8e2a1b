"""Training data: files of examples to padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elbert.data import read_examples
from elbert.errors import DataError
from elbert.evaluation import target
from elbert.model.config import Problem
from elbert.tokenization import Tokeniser

Features = dict[str, Any]


def load_features(path: str, tokeniser: Tokeniser, names: Sequence[str], problem: Problem) -> list[Features]:
    """Every example of a file, tokenised and labelled.

    Raises:
        BadRow: a row has no label, or one that the model does not know.
        DataError: the file cannot be read or holds no example.
    """
    examples = list(read_examples(path))
    if not examples:
        raise DataError(f"{path}: no examples")
    labels = [target(example, names, problem) for example in examples]
    return [
        {"input_ids": t.ids, "token_type_ids": t.type_ids, "labels": label}
        for t, label in zip(tokeniser.encode([e.content() for e in examples]), labels, strict=True)
    ]


@dataclass(frozen=True)
class Collator:
    """Features to a batch, padded to its longest row."""

    pad_id: int

    def __call__(self, features: list[Features]) -> dict[str, Tensor]:
        """``input_ids, attention_mask, token_type_ids [rows, tokens]`` and ``labels``."""
        lengths = [len(f["input_ids"]) for f in features]
        places = torch.arange(max(lengths))
        return {
            "input_ids": padded([f["input_ids"] for f in features], self.pad_id),
            "attention_mask": (places < torch.tensor(lengths).unsqueeze(-1)).long(),
            "token_type_ids": padded([f["token_type_ids"] for f in features], 0),
            "labels": torch.tensor([f["labels"] for f in features]),
        }


def padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """``[rows, longest]``."""
    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)
