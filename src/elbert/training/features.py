"""Training data: examples of a file as tokens and labels, and padded batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elbert.data import read_examples
from elbert.errors import DataError
from elbert.evaluation import read_targets
from elbert.model.config import Problem
from elbert.tokenization import Tokeniser

Features = dict[str, Any]


def load_features(path: str, tokeniser: Tokeniser, names: Sequence[str], problem: Problem) -> list[Features]:
    """Tokenise every example of a file and read its label.

    Raises:
        BadRow: a row has no label, or a label that is not one of the model's.
        DataError: the file cannot be read or has no examples.
    """
    examples = list(read_examples(path))
    if not examples:
        raise DataError(f"{path}: no examples")
    _, targets = read_targets(examples, names, problem)
    return [
        {"input_ids": t.ids, "token_type_ids": t.type_ids, "labels": label}
        for t, label in zip(tokeniser.encode([e.content() for e in examples]), targets.values.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class Collator:
    """Combines features to a batch, padded to its longest row."""

    pad_id: int

    def __call__(self, features: list[Features]) -> dict[str, Tensor]:
        """Return ``input_ids, attention_mask, token_type_ids [rows, tokens]`` and ``labels``."""
        lengths = [len(f["input_ids"]) for f in features]
        host: dict[str, Any] = {"dtype": torch.long, "device": "cpu"}  # whatever torch's defaults are
        is_class = isinstance(features[0]["labels"], int)
        positions = torch.arange(max(lengths), **host)
        return {
            "input_ids": pad_rows([f["input_ids"] for f in features], self.pad_id),
            "attention_mask": (positions < torch.tensor(lengths, **host).unsqueeze(-1)).long(),
            "token_type_ids": pad_rows([f["token_type_ids"] for f in features], 0),
            "labels": torch.tensor(
                [f["labels"] for f in features], dtype=torch.long if is_class else torch.float32, device="cpu"
            ),
        }


def pad_rows(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Return ``[rows, longest]``."""
    tensors = [torch.tensor(row, dtype=torch.long, device="cpu") for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)
