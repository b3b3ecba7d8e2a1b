"""The embedding, one layer and the exit head, over packed rows, and their products with weights (torch or oneDNN)."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from elbert._optional import require
from elbert.errors import BundleError
from elbert.model.config import ModelConfig, Pooling
from elbert.model.kernels import Kernels, Norm
from elbert.model.layout import Layout


@dataclass(frozen=True)
class Embedding:
    """Words, positions and segments, normed; in ALBERT then mapped to the hidden width (its section 3.1)."""

    words: Tensor
    positions: Tensor
    segments: Tensor | None
    norm: Norm
    map: Product | None
    padding: int | None

    def __call__(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``ids, type_ids [room] -> [room, width]``."""
        position = layout.position if self.padding is None else counted(ids[: layout.tokens], layout, self.padding)
        small = self.words.index_select(0, ids) + self.positions.index_select(0, layout.add_filler(position))
        if self.segments is not None:
            small += self.segments.index_select(0, type_ids)
        normed = self.norm(small)
        return normed if self.map is None else self.map(normed)


def counted(ids: Tensor, layout: Layout, padding: int) -> Tensor:
    """``[tokens]``: RoBERTa's positions, from ``padding + 1``; tokens of that id are not counted, even in a text."""
    real = (ids != padding).long()
    before = real.cumsum(0) - real
    return padding + real * (1 + before - before.index_select(0, layout.starts).index_select(0, layout.row))


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
    family = config.backbone
    return Embedding(
        words=weights[f"{family.embedding('word_embeddings')}.weight"],
        positions=weights[f"{family.embedding('position_embeddings')}.weight"],
        segments=weights[f"{family.embedding(family.segments)}.weight"] if family.segments else None,
        norm=norm(weights, family.embedding("LayerNorm"), config.layer_norm_eps),
        map=product(linear(weights, family.projection)) if family.projection else None,
        padding=config.padding,
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
    parts = config.backbone.parts
    three = [linear(weights, f"{name}.{part}") for part in (parts.query, parts.key, parts.value)]
    return LayerWeights(
        qkv=Linear(torch.cat([p.weight for p in three]), torch.cat([p.bias for p in three])),
        dense=linear(weights, f"{name}.{parts.dense}"),
        attention_norm=norm(weights, f"{name}.{parts.attention_norm}", config.layer_norm_eps),
        widen=linear(weights, f"{name}.{parts.widen}"),
        narrow=linear(weights, f"{name}.{parts.narrow}"),
        norm=norm(weights, f"{name}.{parts.norm}", config.layer_norm_eps),
    )


def norm(weights: Mapping[str, Tensor], name: str, eps: float) -> Norm:
    """The layer norm of that name."""
    return Norm(weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


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


Product = Callable[[Tensor], Tensor]


class Linear(NamedTuple):
    """``x @ weight.T + bias``."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """``[..., in] -> [..., out]``."""
        return functional.linear(x, self.weight, self.bias)


@dataclass(frozen=True)
class PackedLinear:
    """The same, and an activation after it, by oneDNN: more than twice as fast as MKL on processors not Intel's."""

    weight: Tensor  # in oneDNN's own layout
    bias: Tensor
    activation: str = "none"
    form: str = ""

    @classmethod
    def pack(cls, linear: Linear, activation: str = "none", form: str = "") -> PackedLinear:
        """Lay out the weights; once, when the model is loaded."""
        return cls(torch.ops.mkldnn._reorder_linear_weight(linear.weight), linear.bias, activation, form)

    def __call__(self, x: Tensor) -> Tensor:
        """``[rows, in] -> [rows, out]``."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], self.form)
        return product


def product(linear: Linear) -> Product:
    """The fastest form of a product here."""
    return PackedLinear.pack(linear) if can_pack(linear.weight.dtype, linear.weight.device) else linear.__call__


def activated(linear: Linear, name: str) -> Product:
    """A product and the activation that transformers knows by ``name`` after it, in one call where that is possible.

    Raises:
        BundleError: the activation is unknown.
    """
    function = activation(name)
    if not can_pack(linear.weight.dtype, linear.weight.device):
        return lambda x: function(linear(x))
    if name in FUSED:
        return PackedLinear.pack(linear, *FUSED[name])
    packed = PackedLinear.pack(linear)
    return lambda x: function(packed(x))


def can_pack(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether oneDNN multiplies this type well on this device."""
    return device.type == "cpu" and _packs(dtype)


@cache
def _packs(dtype: torch.dtype) -> bool:
    # The operators are torch.compile's own and not promised to anybody: use them only where they work.
    if platform.machine() not in ("x86_64", "AMD64") or not torch._C._has_mkldnn:
        return False
    linear = Linear(torch.eye(16, dtype=dtype), torch.zeros(16, dtype=dtype))
    x = torch.ones(3, 16, dtype=dtype)
    try:
        return bool(torch.equal(PackedLinear.pack(linear)(x), x))
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


def linear(weights: Mapping[str, Tensor], name: str) -> Linear:
    """The linear map of that name."""
    return Linear(weights[f"{name}.weight"], weights[f"{name}.bias"])


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The activation that transformers knows by this name.

    Raises:
        BundleError: it knows none.
        MissingExtra: it is a rare one, and transformers is not installed.
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    # The rare ones only: importing transformers takes seconds, and it is an optional package.
    known = require("transformers.activations", "train").ACT2FN
    if name not in known:
        raise BundleError(f"config.json: hidden_act {name!r} is unknown; known are {', '.join(sorted(known))}")
    function: Callable[[Tensor], Tensor] = known[name]
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

# What oneDNN can do on the way out of a product, in its words.
FUSED = {
    "gelu": ("gelu", "none"),
    "gelu_new": ("gelu", "tanh"),
    "gelu_pytorch_tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
    "tanh": ("tanh", ""),
}
