"""The reference for encoders with separate layers per depth: transformers' classifiers with logits at every depth.

The classes have the names of their transformers counterparts, because transformers saves the class name in
``config.json``. So a saved folder is a plain one, with the same weights, and transformers loads it at full depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
import transformers
from torch import Tensor

from elbert.model.reference.all_depths import NOT_FOR_METRICS, AllDepthsMixin


class BertConfig(transformers.BertConfig):  # type: ignore[no-untyped-call]  # transformers' hook has no type annotations
    """The configuration of transformers, which also names the output that its Trainer leaves out."""

    keys_to_ignore_at_inference: ClassVar[list[str]] = NOT_FOR_METRICS


class BertForSequenceClassification(AllDepthsMixin, transformers.BertForSequenceClassification):  # type: ignore[no-untyped-call]  # as above
    """BERT; the exit head of every depth is its pooler and its classifier."""

    config_class = BertConfig

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """Compute logits ``[depths, rows, classes]`` from the first token of each row."""
        pooler: Any = self.bert.pooler  # typed optional, but BERT in a classifier always has a pooler
        pooled = torch.tanh(pooler.dense(first_tokens(hidden)))
        return cast(Tensor, self.classifier(self.dropout(pooled)))


class RobertaConfig(transformers.RobertaConfig):  # type: ignore[no-untyped-call]  # as above
    """The configuration of transformers, which also names the output that its Trainer leaves out."""

    keys_to_ignore_at_inference: ClassVar[list[str]] = NOT_FOR_METRICS


class RobertaForSequenceClassification(AllDepthsMixin, transformers.RobertaForSequenceClassification):  # type: ignore[no-untyped-call]  # as above
    """RoBERTa; the exit head of every depth is its classification head."""

    config_class = RobertaConfig

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """Compute logits ``[depths, rows, classes]`` from the first token of each row."""
        rows = first_tokens(hidden)
        logits = self.classifier(rows.flatten(0, 1).unsqueeze(1))  # the head itself selects token 0 of each row
        return cast(Tensor, logits.view(*rows.shape[:2], -1))


class DistilBertConfig(transformers.DistilBertConfig):  # type: ignore[no-untyped-call]  # as above
    """The configuration of transformers, which also names the output that its Trainer leaves out."""

    keys_to_ignore_at_inference: ClassVar[list[str]] = NOT_FOR_METRICS


class DistilBertForSequenceClassification(AllDepthsMixin, transformers.DistilBertForSequenceClassification):  # type: ignore[no-untyped-call]  # as above
    """DistilBERT; the exit head of every depth is its two linear maps, ``pre_classifier`` and ``classifier``."""

    config_class = DistilBertConfig

    has_segments = False

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """Compute logits ``[depths, rows, classes]`` from the first token of each row."""
        pooled = torch.relu(self.pre_classifier(first_tokens(hidden)))
        return cast(Tensor, self.classifier(self.dropout(pooled)))


def first_tokens(hidden: Sequence[Tensor]) -> Tensor:
    """Return the hidden states of each row's first token, the input of the heads: ``[depths, rows, width]``."""
    return torch.stack([rows[:, 0] for rows in hidden])
