"""The exit head: the classifier's own, read at any depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from elbert.model.config import ModelConfig, Pooling
from elbert.model.layout import Layout
from elbert.model.linear import Linear, Product, activated, linear


@dataclass(frozen=True)
class Head:
    """``classifier(activation(pooler(row)))``, where the row is its first token, [CLS], or the mean of its tokens."""

    pooling: Pooling
    pooler: Product  # with the activation, in the hidden type
    classifier: Linear  # in float32, where thresholds are compared; oneDNN's calls cost more than so few outputs

    def __call__(self, hidden: Tensor, layout: Layout) -> Tensor:
        """``[tokens, width] -> [rows, classes]``, float32."""
        means = self.pooling == "mean"
        row = layout.mean(hidden).to(hidden.dtype) if means else hidden.index_select(0, layout.starts)
        return self.classifier(self.pooler(row).float())


def build_heads(weights: Mapping[str, Tensor], exact: Mapping[str, Tensor], config: ModelConfig) -> list[Head]:
    """The exit heads, shallowest block first, the classifier's own last. ``exact`` are the weights in float32."""
    earlier = [(f"earlier_heads.{i}.pooler", f"earlier_heads.{i}.classifier") for i in range(config.exit_heads - 1)]
    own = config.backbone.head
    names = [*earlier, (own.pooler, own.classifier)]
    return [
        Head(config.pooling, activated(linear(weights, pooler), own.activation), linear(exact, classifier))
        for pooler, classifier in names
    ]
