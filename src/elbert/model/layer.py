"""ALBERT's embedding and its one layer, over packed rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from elbert.model.config import ModelConfig
from elbert.model.kernels import Kernels, Norm
from elbert.model.layout import Layout
from elbert.model.linear import Linear, Product, activated, linear, product


@dataclass(frozen=True)
class Embedding:
    """Words, positions and segments, normed, then mapped to the hidden width (ALBERT, section 3.1)."""

    words: Tensor
    positions: Tensor
    segments: Tensor
    norm: Norm
    map: Product

    def __call__(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``ids, type_ids [tokens] -> [tokens, width]``."""
        small = self.words.index_select(0, ids) + self.positions.index_select(0, layout.filled(layout.position))
        small += self.segments.index_select(0, type_ids)
        return self.map(self.norm(small))


class Layer(Protocol):
    """One transformer layer: attention within each row, then the feed-forward part, each normed after its sum."""

    def __call__(self, hidden: Tensor, layout: Layout) -> Tensor:
        """``[tokens, width] -> [tokens, width]``."""


@dataclass(frozen=True)
class FloatLayer:
    """The layer in float32 or bfloat16."""

    heads: int
    qkv: Product  # the three projections in one product
    dense: Product
    attention_norm: Norm
    widen: Product  # with the activation
    narrow: Product
    norm: Norm
    kernels: Kernels

    def __call__(self, hidden: Tensor, layout: Layout) -> Tensor:
        """``[tokens, width] -> [tokens, width]``."""
        mixed = self.kernels.attend(self.qkv(hidden), layout, self.heads)
        attended = self.kernels.add_norm(hidden, self.dense(mixed), self.attention_norm)
        return self.kernels.add_norm(attended, self.narrow(self.widen(attended)), self.norm)


@dataclass(frozen=True)
class LayerWeights:
    """A layer's weights, the projections to queries, keys and values stacked."""

    qkv: Linear
    dense: Linear
    attention_norm: Norm
    widen: Linear
    narrow: Linear
    norm: Norm


def build_embedding(weights: Mapping[str, Tensor], config: ModelConfig) -> Embedding:
    """The embedding of the weights by their names on disk."""
    return Embedding(
        words=weights["albert.embeddings.word_embeddings.weight"],
        positions=weights["albert.embeddings.position_embeddings.weight"],
        segments=weights["albert.embeddings.token_type_embeddings.weight"],
        norm=norm(weights, "albert.embeddings.LayerNorm", config.layer_norm_eps),
        map=product(linear(weights, "albert.encoder.embedding_hidden_mapping_in")),
    )


def build_layer(weights: LayerWeights, config: ModelConfig, kernels: Kernels) -> FloatLayer:
    """The layer in the type that its weights have."""
    return FloatLayer(
        heads=config.num_attention_heads,
        qkv=product(weights.qkv),
        dense=product(weights.dense),
        attention_norm=weights.attention_norm.to(kernels.norm_dtype),
        widen=activated(weights.widen, config.hidden_act),
        narrow=product(weights.narrow),
        norm=weights.norm.to(kernels.norm_dtype),
        kernels=kernels,
    )


def layer_weights(weights: Mapping[str, Tensor], name: str, config: ModelConfig) -> LayerWeights:
    """Those whose names begin with ``name``."""
    parts = [linear(weights, f"{name}.attention.{part}") for part in ("query", "key", "value")]
    return LayerWeights(
        qkv=Linear(torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])),
        dense=linear(weights, f"{name}.attention.dense"),
        attention_norm=norm(weights, f"{name}.attention.LayerNorm", config.layer_norm_eps),
        widen=linear(weights, f"{name}.ffn"),
        narrow=linear(weights, f"{name}.ffn_output"),
        norm=norm(weights, f"{name}.full_layer_layer_norm", config.layer_norm_eps),
    )


def norm(weights: Mapping[str, Tensor], name: str, eps: float) -> Norm:
    """The layer norm of that name."""
    return Norm(weights[f"{name}.weight"], weights[f"{name}.bias"], eps)
