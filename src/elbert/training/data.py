"""Training data: files of examples to padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elbert.errors import BadRow, DataError, ElbertError
from elbert.model.config import Problem
from elbert.text import Example, Tokeniser, read_examples, resolve_label, resolve_labels_multi, resolve_value

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
    labels = [target(example, path, names, problem) for example in examples]
    texts = [e.text if e.text_pair is None else (e.text, e.text_pair) for e in examples]
    return [
        {"input_ids": t.ids, "token_type_ids": t.type_ids, "labels": label}
        for t, label in zip(tokeniser.encode(texts), labels, strict=True)
    ]


def target(example: Example, path: str, names: Sequence[str], problem: Problem) -> int | float | list[float]:
    """The label of an example in the form its problem asks for.

    Raises:
        BadRow: it has none, or none that fits.
    """
    if example.label is None:
        raise BadRow(path, example.line, "no label; expected a column 'label'")
    try:
        if problem == "regression":
            return resolve_value(example.label)
        if problem == "multi_label_classification":
            return [float(x) for x in resolve_labels_multi(example.label, names)]
        return resolve_label(example.label, names)
    except ElbertError as error:
        raise BadRow(path, example.line, str(error)) from error


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
