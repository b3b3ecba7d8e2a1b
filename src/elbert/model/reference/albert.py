"""The ALBERT reference: the classifier of transformers with logits at every depth.

Training uses it. It computes all depths of every row; the fast path with early exit is in ``elbert.engine``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn
from transformers import AlbertConfig, AlbertForSequenceClassification, AutoConfig, AutoModelForSequenceClassification

from elbert.errors import BundleError, InputError
from elbert.model.config import Pooling
from elbert.model.families import ALBERT
from elbert.model.reference.all_depths import NOT_FOR_METRICS, AllDepthsMixin


class ElbertConfig(AlbertConfig):  # type: ignore[no-untyped-call]  # transformers' dataclass hook has no type annotations
    """ALBERT's configuration plus the settings of the exit heads.

    It is saved with model type ``albert`` where plain ALBERT computes the same, otherwise with ``elbert``: other tools
    then reject the folder instead of computing wrong predictions.
    """

    model_type: ClassVar[str] = "elbert"
    keys_to_ignore_at_inference: ClassVar[list[str]] = NOT_FOR_METRICS
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
        """Read ``config.json``, as transformers' hook; accept only the model types ``albert`` and ``elbert``.

        Raises:
            BundleError: the configuration has another model type.
        """
        values, rest = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if values.get("model_type", "albert") not in ALBERT.model_types:
            kind = values["model_type"]
            raise BundleError(
                f"{pretrained_model_name_or_path}: config.json has model_type {kind!r}, expected 'albert' or 'elbert'"
            )
        return values | {"model_type": cls.model_type}, rest

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``config.json``."""
        values: dict[str, Any] = super().to_dict()
        if self.is_plain_albert:
            values.pop("pooling", None)
            values.pop("exit_heads", None)
            own = values.get("architectures") or ["AlbertForSequenceClassification"]
            values["architectures"] = [name.replace("Elbert", "Albert") for name in own]
            values["model_type"] = "albert"
        return values


class ExitHead(nn.Module):
    """A pooler and a classifier for one block of depths, in models with several exit heads (an ablation)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.pooler = nn.Linear(width, width)
        self.classifier = nn.Linear(width, classes)


class ElbertForSequenceClassification(AllDepthsMixin, AlbertForSequenceClassification):  # type: ignore[no-untyped-call]  # as above
    """ALBERT whose exit head computes logits at every depth of its shared layer (Xie et al. 2021, section 2.1).

    With one exit head it has exactly the parameters of ALBERT's classifier, and it loads and saves the same folders.
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
            self.post_init()  # type: ignore[no-untyped-call]  # transformers' method has no type annotations

    def read(self, hidden: Sequence[Tensor], attention_mask: Tensor | None) -> Tensor:
        """Compute logits ``[depths, rows, classes]`` from hidden states ``[rows, tokens, width]``, one per depth."""
        pooled = torch.stack([self._pool(h, attention_mask) for h in hidden])
        heads = [(h.pooler, h.classifier) for h in getattr(self, "earlier_heads", ())]
        heads.append((self.albert.pooler, self.classifier))
        # block[m] is the exit head of depth m + 1: the depths are divided into blocks of nearly equal size.
        block = [m * len(heads) // len(hidden) for m in range(len(hidden))]
        logits = []
        for index, (pooler, classifier) in enumerate(heads):
            rows = pooled[block.index(index) : len(hidden) - block[::-1].index(index)]
            logits.append(classifier(self.dropout(torch.tanh(pooler(rows)))))
        return torch.cat(logits)

    def _depths(self, hidden_states: tuple[Tensor, ...]) -> list[Tensor]:
        return select_groups(hidden_states, self.config)

    def _pool(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        if self.config.pooling == "cls":
            return hidden[:, 0]
        if attention_mask is None:
            return hidden.mean(1)
        real = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * real).sum(1) / real.sum(1)


def select_groups(hidden_states: tuple[Tensor, ...], config: AlbertConfig) -> list[Tensor]:
    """Return the hidden states of each depth, which is a whole group of layers.

    transformers records the embeddings first, then the output of every inner layer.
    """
    return list(hidden_states[config.inner_group_num :: config.inner_group_num])


# So that transformers' Auto classes and pipelines know folders of type elbert, and this class.
AutoConfig.register("elbert", ElbertConfig, exist_ok=True)
AutoModelForSequenceClassification.register(ElbertConfig, ElbertForSequenceClassification, exist_ok=True)
