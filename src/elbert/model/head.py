"""The exit head: ALBERT's own pooler and classifier, read at any depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from elbert.model.config import ModelConfig, Pooling
from elbert.model.layout import Layout
from elbert.model.linear import Product, linear, product


@dataclass(frozen=True)
class Head:
    """``classifier(tanh(pooler(row)))``, where the row is its [CLS] token or the mean of its tokens."""

    pooling: Pooling
    pooler: Product
    classifier: Product

    def __call__(self, hidden: Tensor, layout: Layout) -> Tensor:
        """``[tokens, width] -> [rows, classes]``."""
        row = layout.mean(hidden) if self.pooling == "mean" else hidden.index_select(0, layout.starts).float()
        return self.classifier(torch.tanh(self.pooler(row)))


def build_heads(weights: Mapping[str, Tensor], config: ModelConfig) -> list[Head]:
    """The exit heads, shallowest block first; the last is ALBERT's own."""
    earlier = [(f"earlier_heads.{i}.pooler", f"earlier_heads.{i}.classifier") for i in range(config.exit_heads - 1)]
    names = [*earlier, ("albert.pooler", "classifier")]
    return [
        Head(config.pooling, product(linear(weights, pooler)), product(linear(weights, classifier)))
        for pooler, classifier in names
    ]
