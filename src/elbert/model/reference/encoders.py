"""The reference for encoders whose depths have layers of their own: transformers' classifiers, read at every depth.

The classes are called as transformers calls its own, because that is what they save: plain folders, with no name of
ours and no other weights, which transformers loads at full depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import transformers
from torch import Tensor

from elbert.model.reference.all_depths import AllDepthsMixin


class BertForSequenceClassification(AllDepthsMixin, transformers.BertForSequenceClassification):  # type: ignore[no-untyped-call]  # transformers' hook carries no types
    """BERT, every depth read by its pooler and classifier."""

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """``[depths, rows, classes]``."""
        pooler: Any = self.bert.pooler  # a classifier's BERT always has one
        pooled = torch.tanh(pooler.dense(first_tokens(hidden)))
        return cast(Tensor, self.classifier(self.dropout(pooled)))


class RobertaForSequenceClassification(AllDepthsMixin, transformers.RobertaForSequenceClassification):  # type: ignore[no-untyped-call]  # as above
    """RoBERTa, every depth read by its classification head."""

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """``[depths, rows, classes]``."""
        rows = first_tokens(hidden)
        logits = self.classifier(rows.flatten(0, 1).unsqueeze(1))  # it looks for the first token by itself
        return cast(Tensor, logits.view(*rows.shape[:2], -1))


class DistilBertForSequenceClassification(AllDepthsMixin, transformers.DistilBertForSequenceClassification):  # type: ignore[no-untyped-call]  # as above
    """DistilBERT, every depth read by its two classifying maps."""

    has_segments = False

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """``[depths, rows, classes]``."""
        pooled = torch.relu(self.pre_classifier(first_tokens(hidden)))
        return cast(Tensor, self.classifier(self.dropout(pooled)))


def first_tokens(hidden: Sequence[Tensor]) -> Tensor:
    """``[depths, rows, width]``: what the heads read."""
    return torch.stack([rows[:, 0] for rows in hidden])
