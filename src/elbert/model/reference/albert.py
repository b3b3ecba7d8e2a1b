"""The reference: transformers' own ALBERT classifier, read at every depth. Training uses it; speed is elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn
from transformers import AlbertConfig, AlbertForSequenceClassification

from elbert.errors import BundleError, InputError
from elbert.model.config import Pooling
from elbert.model.families import ALBERT
from elbert.model.reference.all_depths import AllDepthsMixin


class ElbertConfig(AlbertConfig):  # type: ignore[no-untyped-call]  # transformers' dataclass hook carries no types
    """ALBERT's configuration with what the exit heads read.

    Saved as plain ``albert`` where plain ALBERT can express it, else as ``elbert``, so that other tools refuse the
    folder rather than answer wrongly.
    """

    model_type: ClassVar[str] = "albert"
    pooling: Pooling = "cls"
    exit_heads: int = 1

    @property
    def is_plain_albert(self) -> bool:
        """Whether ``AlbertForSequenceClassification`` computes the same last-depth logits."""
        return self.pooling == "cls" and self.exit_heads == 1

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[Any], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """transformers' hook for reading ``config.json``: accepts our two model types and no others.

        Raises:
            BundleError: the configuration is of another kind of model.
        """
        values, rest = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if values.get("model_type", "albert") not in ALBERT.model_types:
            kind = values["model_type"]
            raise BundleError(
                f"{pretrained_model_name_or_path}: config.json has model_type {kind!r}, expected 'albert' or 'elbert'"
            )
        return values | {"model_type": cls.model_type}, rest

    def to_dict(self) -> dict[str, Any]:
        """What goes into ``config.json``."""
        values: dict[str, Any] = super().to_dict()
        if self.is_plain_albert:
            values.pop("pooling", None)
            values.pop("exit_heads", None)
            values["architectures"] = ["AlbertForSequenceClassification"]
        else:
            values["model_type"] = "elbert"
        return values


class ExitHead(nn.Module):
    """A pooler and a classifier, for models whose blocks of depths have heads of their own (an ablation)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.pooler = nn.Linear(width, width)
        self.classifier = nn.Linear(width, classes)


class ElbertForSequenceClassification(AllDepthsMixin, AlbertForSequenceClassification):  # type: ignore[no-untyped-call]  # as above
    """ALBERT with its one layer's every depth read by its one exit head (Xie et al. 2021, section 2.1).

    Adds no parameter to ALBERT's classifier, and loads and saves its folders.
    """

    config_class = ElbertConfig
    config: ElbertConfig

    def __init__(self, config: AlbertConfig) -> None:
        super().__init__(config if isinstance(config, ElbertConfig) else ElbertConfig(**config.to_dict()))
        pooling, heads, depths = self.config.pooling, self.config.exit_heads, self.config.num_hidden_layers
        if pooling not in get_args(Pooling):
            raise InputError(f"pooling is {pooling!r}, expected one of {', '.join(get_args(Pooling))}")
        if not 1 <= heads <= depths:
            raise InputError(f"exit_heads is {heads}, expected a whole number from 1 to {depths}, the model's depths")
        if heads > 1:
            width, classes = self.classifier.in_features, self.classifier.out_features
            self.earlier_heads = nn.ModuleList(ExitHead(width, classes) for _ in range(heads - 1))
            self.post_init()  # type: ignore[no-untyped-call]  # transformers' own

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """``[depths, rows, classes]`` from the hidden rows ``[rows, tokens, width]`` of every depth."""
        pooled = torch.stack([self._pool(h, attention_mask) for h in hidden])
        heads = [(h.pooler, h.classifier) for h in getattr(self, "earlier_heads", ())]
        heads.append((self.albert.pooler, self.classifier))
        block = [m * len(heads) // len(hidden) for m in range(len(hidden))]
        logits = []
        for index, (pooler, classifier) in enumerate(heads):
            rows = pooled[block.index(index) : len(hidden) - block[::-1].index(index)]
            logits.append(classifier(self.dropout(torch.tanh(pooler(rows)))))
        return torch.cat(logits)

    def _depths(self, hidden_states: tuple[Tensor, ...]) -> list[Tensor]:
        # transformers records every inner layer, after the embedding's own rows.
        return list(hidden_states[self.config.inner_group_num :: self.config.inner_group_num])

    def _pool(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        if self.config.pooling == "cls":
            return hidden[:, 0]
        if attention_mask is None:
            return hidden.mean(1)
        real = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * real).sum(1) / real.sum(1)
