"""The reference for token classifiers: transformers' classes, of all families, with logits at every depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import transformers
from torch import Tensor
from transformers import AlbertConfig, AlbertForTokenClassification, AutoModelForTokenClassification

from elbert.errors import InputError
from elbert.model.reference.albert import ElbertConfig, select_groups
from elbert.model.reference.all_depths import AllDepthsMixin
from elbert.model.reference.encoders import BertConfig, DistilBertConfig, RobertaConfig
from elbert.tasks import Task, TokenClassification


class TokenMixin(AllDepthsMixin):
    """Applies the linear map of a token classifier to every token at every depth."""

    dropout: Any
    classifier: Any

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """Compute logits ``[depths, rows, tokens, classes]`` from hidden states ``[rows, tokens, width]``."""
        return cast(Tensor, self.classifier(self.dropout(torch.stack(list(hidden)))))

    def find_task(self, exit_logits: Tensor, labels: Tensor) -> Task:
        """Return the task; transformers' configuration has no problem type for it."""
        return TokenClassification()


class ElbertForTokenClassification(TokenMixin, AlbertForTokenClassification):  # type: ignore[no-untyped-call]  # transformers' hook has no type annotations
    """ALBERT whose one head tags every token at every depth of its shared layer.

    It has exactly the parameters of ALBERT's token classifier, and it loads and saves the same folders.
    """

    config_class = ElbertConfig
    config: ElbertConfig

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config if isinstance(config, ElbertConfig) else ElbertConfig(**config.to_dict()))
        if not self.config.is_plain_albert:
            raise InputError("a token classifier has pooling 'cls' and one exit head: it reads every token by itself")

    def _depths(self, hidden_states: tuple[Tensor, ...]) -> list[Tensor]:
        return select_groups(hidden_states, self.config)


class BertForTokenClassification(TokenMixin, transformers.BertForTokenClassification):  # type: ignore[no-untyped-call]  # as above
    """BERT."""

    config_class = BertConfig


class RobertaForTokenClassification(TokenMixin, transformers.RobertaForTokenClassification):  # type: ignore[no-untyped-call]  # as above
    """RoBERTa."""

    config_class = RobertaConfig


class DistilBertForTokenClassification(TokenMixin, transformers.DistilBertForTokenClassification):  # type: ignore[no-untyped-call]  # as above
    """DistilBERT."""

    config_class = DistilBertConfig
    has_segments = False


AutoModelForTokenClassification.register(ElbertConfig, ElbertForTokenClassification, exist_ok=True)
