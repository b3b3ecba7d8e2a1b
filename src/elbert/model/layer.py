"""The embedding, a transformer layer and the exit head on packed rows, with matrix products in torch or oneDNN."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from elbert._optional import require
from elbert.errors import BundleError
from elbert.model.config import ModelConfig, Pooling
from elbert.model.families import TOKEN_HEAD
from elbert.model.isolation import isolated
from elbert.model.kernels import Kernels, Norm
from elbert.model.layout import Layout


@dataclass(frozen=True)
class Embedding:
    """The normalised sum of word, position and segment embeddings.

    ALBERT then maps it to the hidden width with ``map`` (section 3.1 of its paper); ``map`` is None in other families.
    ``padding`` is the id of padding and the position before the first one (RoBERTa), or None if they start at 0.
    """

    words: Tensor
    positions: Tensor
    segments: Tensor | None
    norm: Callable[[Tensor], Tensor]
    map: Product | None
    padding: int | None

    def __call__(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``ids, type_ids [tokens] -> [size, width]``."""
        position = layout.position if self.padding is None else counted(ids, layout, self.padding)
        embedded = self.words.index_select(0, layout.add_filler(ids))
        embedded += self.positions.index_select(0, layout.add_filler(position))
        if self.segments is not None:
            embedded += self.segments.index_select(0, layout.add_filler(type_ids))
        normed = self.norm(embedded)
        return normed if self.map is None else self.map(normed)


def counted(ids: Tensor, layout: Layout, padding: int) -> Tensor:
    """Compute RoBERTa's positions, ``[tokens]``: they start at ``padding + 1`` in each row.

    Tokens with the id ``padding`` have the position ``padding`` and are not counted, even inside a text.
    """
    real = (ids != padding).long()
    before = real.cumsum(0) - real
    return padding + real * (1 + before - before.index_select(0, layout.starts).index_select(0, layout.row))


Embed = Callable[[Tensor, Tensor, Layout], Tensor]
"""``ids, type_ids [tokens] -> [size, width]``"""
Read = Callable[[Tensor, Layout], Tensor]
"""``[size, width] -> [rows, classes]``: logits in float32"""


Layer = Callable[[Tensor, Layout], Tensor]
"""``[size, width] -> [size, width]``: attention within each row, then the feed-forward part, each with a residual and a
norm"""


@dataclass(frozen=True)
class FloatLayer:
    """A layer that computes in float32 or bfloat16."""

    heads: int
    qkv: Product  # the query, key and value projections in one product
    dense: Product
    attention_norm: Norm
    widen: Product  # includes the activation
    narrow: Product
    norm: Norm
    kernels: Kernels

    def __call__(self, hidden: Tensor, layout: Layout) -> Tensor:
        """``[size, width] -> [size, width]``."""
        mixed = self.kernels.attend(self.qkv(hidden), layout, self.heads)
        attended = self.kernels.add_norm(hidden, self.dense(mixed), self.attention_norm)
        return self.kernels.add_norm(attended, self.narrow(self.widen(attended)), self.norm)


@dataclass(frozen=True)
class LayerWeights:
    """The weights of a layer; ``qkv`` stacks the projections to queries, keys and values."""

    qkv: Linear
    dense: Linear
    attention_norm: Norm
    widen: Linear
    narrow: Linear
    norm: Norm


class EmbeddingWeights(NamedTuple):
    """The weights of an embedding, as in :class:`Embedding`."""

    words: Tensor
    positions: Tensor
    segments: Tensor | None
    norm: Norm
    map: Linear | None


def embedding_weights(weights: Mapping[str, Tensor], config: ModelConfig) -> EmbeddingWeights:
    """Select the weights of the embedding from ``weights``, which have their names on disk."""
    family = config.backbone
    return EmbeddingWeights(
        words=weights[f"{family.embedding('word_embeddings')}.weight"],
        positions=weights[f"{family.embedding('position_embeddings')}.weight"],
        segments=weights[f"{family.embedding(family.segments)}.weight"] if family.segments else None,
        norm=norm(weights, family.embedding("LayerNorm"), config.layer_norm_eps),
        map=linear(weights, family.projection) if family.projection else None,
    )


def build_embedding(weights: Mapping[str, Tensor], config: ModelConfig) -> Embed:
    """Build the embedding from ``weights``, which have their names on disk."""
    parts = embedding_weights(weights, config)
    return Embedding(
        words=parts.words,
        positions=parts.positions,
        segments=parts.segments,
        norm=normalisation(parts.norm),
        map=None if parts.map is None else product(parts.map),
        padding=config.padding,
    )


def build_layer(weights: LayerWeights, config: ModelConfig, kernels: Kernels) -> FloatLayer:
    """Build a layer that computes in the type of its weights."""
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
    """Select the weights of the layer with the prefix ``name``."""
    parts = config.backbone.parts
    projections = [linear(weights, f"{name}.{part}") for part in (parts.query, parts.key, parts.value)]
    return LayerWeights(
        qkv=Linear(torch.cat([p.weight for p in projections]), torch.cat([p.bias for p in projections])),
        dense=linear(weights, f"{name}.{parts.dense}"),
        attention_norm=norm(weights, f"{name}.{parts.attention_norm}", config.layer_norm_eps),
        widen=linear(weights, f"{name}.{parts.widen}"),
        narrow=linear(weights, f"{name}.{parts.narrow}"),
        norm=norm(weights, f"{name}.{parts.norm}", config.layer_norm_eps),
    )


def norm(weights: Mapping[str, Tensor], name: str, eps: float) -> Norm:
    """Build the layer norm with the prefix ``name``."""
    return Norm(weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


def normalisation(norm: Norm) -> Callable[[Tensor], Tensor]:
    """Return the layer norm as a plain function of torch."""
    return partial(
        functional.layer_norm, normalized_shape=norm.weight.shape, weight=norm.weight, bias=norm.bias, eps=norm.eps
    )


@dataclass(frozen=True)
class Head:
    """An exit head: ``classifier(activation(pooler(x)))`` for each row.

    ``x`` is the hidden state of the row's first token, [CLS], or the mean over the row's tokens, by ``pooling``.
    """

    pooling: Pooling
    pooler: Product  # includes the activation; in the hidden type
    # In float32, because policies compare its results with thresholds. In torch, because for these few outputs the
    # overhead of a oneDNN call is larger than the gain.
    classifier: Linear

    def __call__(self, hidden: Tensor, layout: Layout) -> Tensor:
        """``[size, width] -> [rows, classes]``: logits in float32."""
        is_mean = self.pooling == "mean"
        pooled = layout.mean(hidden).to(hidden.dtype) if is_mean else hidden.index_select(0, layout.starts)
        return self.classifier(self.pooler(pooled).float())


def head_weights(weights: Mapping[str, Tensor], config: ModelConfig) -> list[tuple[Linear, Linear]]:
    """Select pooler and classifier of the exit heads, from the shallowest block of depths to the deepest.

    The last one is the classifier's original head.
    """
    earlier = [(f"earlier_heads.{i}.pooler", f"earlier_heads.{i}.classifier") for i in range(config.exit_heads - 1)]
    names = [*earlier, (config.backbone.head.pooler, config.backbone.head.classifier)]
    return [(linear(weights, pooler), linear(weights, classifier)) for pooler, classifier in names]


def build_heads(weights: Mapping[str, Tensor], exact: Mapping[str, Tensor], config: ModelConfig) -> list[Read]:
    """Build the exit heads; ``weights`` are in the hidden type, ``exact`` in float32.

    The head of a token classifier gets the hidden states of the tokens that are read, ``[tokens, width]``.
    """
    if config.task.per_token:
        classifier = linear(exact, TOKEN_HEAD)
        return [lambda hidden, _: classifier(hidden.float())]
    poolers = [pooler for pooler, _ in head_weights(weights, config)]
    classifiers = [classifier for _, classifier in head_weights(exact, config)]
    activation = config.backbone.head.activation
    return [
        Head(config.pooling, activated(pooler, activation), classifier)
        for pooler, classifier in zip(poolers, classifiers, strict=True)
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
    """``activation(x @ weight.T + bias)`` in oneDNN: more than twice as fast as MKL on non-Intel processors."""

    weight: Tensor  # in oneDNN's internal layout
    bias: Tensor
    activation: str = "none"  # oneDNN's name
    form: str = ""  # the variant of the activation, such as "tanh" for GELU

    @classmethod
    def pack(cls, linear: Linear, activation: str = "none", form: str = "") -> PackedLinear:
        """Convert the weights to oneDNN's layout; done once, when the model is loaded."""
        return cls(torch.ops.mkldnn._reorder_linear_weight(linear.weight), linear.bias, activation, form)

    def __call__(self, x: Tensor) -> Tensor:
        """``[n, in] -> [n, out]``."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], self.form)
        return product


def product(linear: Linear) -> Product:
    """Return the fastest available implementation of ``linear`` for its type and device."""
    return PackedLinear.pack(linear) if can_pack(linear.weight.dtype, linear.weight.device) else linear.__call__


def activated(linear: Linear, name: str) -> Product:
    """Return ``linear`` followed by the activation with transformers' ``name``, fused into one call if possible.

    Raises:
        BundleError: the activation is unknown.
        MissingExtra: the activation is rare, and transformers is not installed.
    """
    function = activation(name)
    if not can_pack(linear.weight.dtype, linear.weight.device):
        return lambda x: function(linear(x))
    if name in FUSED:
        return PackedLinear.pack(linear, *FUSED[name])
    packed = PackedLinear.pack(linear)
    return lambda x: function(packed(x))


def can_pack(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether oneDNN's packed products are available for this type on this device."""
    return device.type == "cpu" and _has_packed_linear(dtype)


@cache
@isolated()
def _has_packed_linear(dtype: torch.dtype) -> bool:
    # The operators are internal to torch.compile, without a stability guarantee: use them only if a test product works.
    if platform.machine() not in ("x86_64", "AMD64") or not torch._C._has_mkldnn:
        return False
    linear = Linear(torch.eye(16, dtype=dtype, device="cpu"), torch.zeros(16, dtype=dtype, device="cpu"))
    x = torch.ones(3, 16, dtype=dtype, device="cpu")
    try:
        return bool(torch.equal(PackedLinear.pack(linear)(x), x))
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


def linear(weights: Mapping[str, Tensor], name: str) -> Linear:
    """Build the linear map with the prefix ``name``."""
    return Linear(weights[f"{name}.weight"], weights[f"{name}.bias"])


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return the activation with transformers' ``name``.

    Raises:
        BundleError: transformers has no activation of this name.
        MissingExtra: the activation is rare, and transformers is not installed.
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    # Only for rare activations: transformers is an optional package, and its import takes seconds.
    known = require("transformers.activations", "train").ACT2FN
    if name not in known:
        raise BundleError(f"config.json: hidden_act {name!r:.80} is unknown; known are {', '.join(sorted(known))}")
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

# Activations that oneDNN can fuse into a product, with its names: (activation, form).
FUSED = {
    "gelu": ("gelu", "none"),
    "gelu_new": ("gelu", "tanh"),
    "gelu_pytorch_tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
    "tanh": ("tanh", ""),
}
