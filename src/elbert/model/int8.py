"""The layer with all its products of weights in int8: weights per channel, activations per token, as they come.

Activations are scaled token by token and not tensor by tensor, as others do it, because a row's answer must not
depend on its neighbours. Attention's own products, of activations with activations, stay in the hidden type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from elbert.model.config import ModelConfig
from elbert.model.kernels import Kernels, Norm, Scaled
from elbert.model.layer import FUSED, LayerWeights, Linear, activation
from elbert.model.layout import Layout
from elbert.model.native.bindings import Quantised

ZERO = 128  # activations are unsigned around this, as the processor's int8 products want them


@dataclass(frozen=True)
class Int8Product:
    """``x @ weight.T + bias`` on quantised activations; the token's scale and the bias are left to be applied."""

    weight: Tensor  # in oneDNN's own layout
    scales: Tensor  # [out], of the weights
    zeros: Tensor  # [out], all 0: weights are symmetric
    correction: Tensor  # [out], takes off what ZERO adds
    bias: Tensor
    dtype: torch.dtype

    @classmethod
    def quantise(cls, linear: Linear, dtype: torch.dtype) -> Int8Product:
        """Quantise the weights, each output channel on its own scale; values come out in ``dtype``."""
        weight = linear.weight.float()
        scales = weight.abs().amax(1).clamp(min=1e-30) / 127
        codes = (weight / scales[:, None]).round().to(torch.int8)
        return cls(
            weight=torch.ops.onednn.qlinear_prepack(codes, None),
            scales=scales,
            zeros=torch.zeros(len(scales), dtype=torch.int32),
            correction=-ZERO * scales * codes.float().sum(1),
            bias=linear.bias.float(),
            dtype=dtype,
        )

    def __call__(self, x: Quantised) -> Scaled:
        """``[tokens, in] -> [tokens, out]``."""
        y = torch.ops.onednn.qlinear_pointwise(
            x.codes, 1.0, 0, self.weight, self.scales, self.zeros, self.correction, 1.0, 0, self.dtype, "none", [], ""
        )
        return Scaled(y, x.scale, self.bias)


@dataclass(frozen=True)
class Int8Layer:
    """The layer on quantised activations."""

    heads: int
    qkv: Int8Product
    dense: Int8Product
    attention_norm: Norm
    widen: Int8Product
    activate: Callable[[Scaled], Quantised]
    narrow: Int8Product
    norm: Norm
    kernels: Kernels

    def __call__(self, hidden: Tensor, layout: Layout) -> Tensor:
        """``[tokens, width] -> [tokens, width]``."""
        run = self.kernels
        mixed = run.attend(run.dequantise(self.qkv(run.quantise(hidden))), layout, self.heads)
        attended, codes = run.scaled_add_norm_quantise(hidden, self.dense(run.quantise(mixed)), self.attention_norm)
        return run.scaled_add_norm(attended, self.narrow(self.activate(self.widen(codes))), self.norm)


def build_int8_layer(weights: LayerWeights, config: ModelConfig, kernels: Kernels, dtype: torch.dtype) -> Int8Layer:
    """The layer from float32 weights, hidden values in ``dtype``."""
    return Int8Layer(
        heads=config.num_attention_heads,
        qkv=Int8Product.quantise(weights.qkv, dtype),
        dense=Int8Product.quantise(weights.dense, dtype),
        attention_norm=weights.attention_norm.to(kernels.norm_dtype),
        widen=Int8Product.quantise(weights.widen, dtype),
        activate=make_quantised_activation(config.hidden_act, kernels),
        narrow=Int8Product.quantise(weights.narrow, dtype),
        norm=weights.norm.to(kernels.norm_dtype),
        kernels=kernels,
    )


def make_quantised_activation(name: str, kernels: Kernels) -> Callable[[Scaled], Quantised]:
    """The activation that transformers knows by ``name``, and its result quantised."""
    if FUSED.get(name) == ("gelu", "tanh"):
        return kernels.gelu_quantise
    function = activation(name)
    return lambda scaled: kernels.quantise(function(kernels.dequantise(scaled)))


@cache
def can_int8() -> bool:
    """Whether products in int8 work here, and give what whole numbers give."""
    codes = torch.arange(64, dtype=torch.uint8).view(2, 32) * 3
    linear = Linear(torch.linspace(-1, 1, 32 * 16).view(16, 32), torch.zeros(16))
    try:
        made = Int8Product.quantise(linear, torch.float32)(Quantised(codes, torch.ones(2)))
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    expected = (codes.float() - ZERO) @ linear.weight.T
    return bool(torch.allclose(made.y, expected, rtol=0.02, atol=0.02 * float(expected.abs().max())))
