"""ALBERT's embedding and its one layer, over packed rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from elbert.errors import BundleError
from elbert.model.config import ModelConfig
from elbert.model.layout import Layout


class Linear(NamedTuple):
    """``x @ weight.T + bias``."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """``[..., in] -> [..., out]``."""
        return functional.linear(x, self.weight, self.bias)


class Norm(NamedTuple):
    """Layer norm over the last axis."""

    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        """Same shape out as in."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class Embedding:
    """Words, positions and segments, normed, then mapped to the hidden width (ALBERT, section 3.1)."""

    words: Tensor
    positions: Tensor
    segments: Tensor
    norm: Norm
    map: Linear

    def __call__(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``ids, type_ids [tokens] -> [tokens, width]``."""
        small = self.words[ids] + self.segments[type_ids] + self.positions[layout.position]
        return self.map(self.norm(small))


@dataclass(frozen=True)
class Layer:
    """One transformer layer: attention within each row, then the feed-forward part, each normed after its sum."""

    heads: int
    qkv: Linear  # the three projections in one product
    dense: Linear
    attention_norm: Norm
    widen: Linear
    narrow: Linear
    norm: Norm
    activation: Callable[[Tensor], Tensor]

    def __call__(self, hidden: Tensor, layout: Layout) -> Tensor:
        """``[tokens, width] -> [tokens, width]``."""
        attended = self.attention_norm(hidden + self.dense(self._attend(hidden, layout)))
        return self.norm(attended + self.narrow(self.activation(self.widen(attended))))

    def _attend(self, hidden: Tensor, layout: Layout) -> Tensor:
        # Attention is the only place where rows must stand side by side, so the only one that pads.
        packed = self.qkv(hidden).view(hidden.shape[0], 3, self.heads, -1)
        query, key, value = layout.pad(packed).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=layout.mask)
        return layout.pack(mixed.transpose(1, 2)).reshape(hidden.shape)


def build_embedding(weights: Mapping[str, Tensor], config: ModelConfig) -> Embedding:
    """The embedding of the weights by their names on disk."""
    return Embedding(
        words=weights["albert.embeddings.word_embeddings.weight"],
        positions=weights["albert.embeddings.position_embeddings.weight"],
        segments=weights["albert.embeddings.token_type_embeddings.weight"],
        norm=norm(weights, "albert.embeddings.LayerNorm", config.layer_norm_eps),
        map=linear(weights, "albert.encoder.embedding_hidden_mapping_in"),
    )


def build_layer(weights: Mapping[str, Tensor], name: str, config: ModelConfig) -> Layer:
    """The layer whose weights begin with ``name``."""
    parts = [linear(weights, f"{name}.attention.{part}") for part in ("query", "key", "value")]
    return Layer(
        heads=config.num_attention_heads,
        qkv=Linear(torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])),
        dense=linear(weights, f"{name}.attention.dense"),
        attention_norm=norm(weights, f"{name}.attention.LayerNorm", config.layer_norm_eps),
        widen=linear(weights, f"{name}.ffn"),
        narrow=linear(weights, f"{name}.ffn_output"),
        norm=norm(weights, f"{name}.full_layer_layer_norm", config.layer_norm_eps),
        activation=activation(config.hidden_act),
    )


def linear(weights: Mapping[str, Tensor], name: str) -> Linear:
    """The linear map of that name."""
    return Linear(weights[f"{name}.weight"], weights[f"{name}.bias"])


def norm(weights: Mapping[str, Tensor], name: str, eps: float) -> Norm:
    """The layer norm of that name."""
    return Norm(weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The activation that transformers knows by this name.

    Raises:
        BundleError: it knows none.
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    from transformers.activations import ACT2FN  # the rare ones: not worth seconds of import for everybody

    if name not in ACT2FN:
        raise BundleError(f"config.json: hidden_act {name!r} is unknown; known are {', '.join(sorted(ACT2FN))}")
    function: Callable[[Tensor], Tensor] = ACT2FN[name]
    return function


_TANH_GELU = partial(functional.gelu, approximate="tanh")

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": _TANH_GELU,
    "gelu_pytorch_tanh": _TANH_GELU,
    "relu": functional.relu,
    "silu": functional.silu,
    "swish": functional.silu,
    "tanh": torch.tanh,
}
