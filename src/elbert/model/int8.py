"""The layer with all its weight products in int8: one scale per weight channel, one scale per activation token.

Activation scales are computed at run time (dynamic quantisation). They are per token and not per tensor, which is
more common, because the result of a row must not depend on the other rows of its batch. The products inside attention,
of activations with activations, are computed in the hidden type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from elbert.model.config import ModelConfig
from elbert.model.isolation import isolated
from elbert.model.kernels import Kernels, Norm, Quantised, Scaled
from elbert.model.layer import FUSED, LayerWeights, Linear, activation
from elbert.model.layout import Layout

ZERO = 128  # zero point of activations: the processor's int8 products need unsigned activations


@dataclass(frozen=True)
class Int8Product:
    """``x @ weight.T + bias`` on quantised activations; the result still needs the token scale and the bias applied."""

    weight: Tensor  # prepacked in the memory layout of oneDNN
    scales: Tensor  # [out], one scale per output channel of the weights
    zeros: Tensor  # [out], all 0: weights are quantised symmetrically
    correction: Tensor  # [out], removes the contribution of ZERO to each product
    bias: Tensor  # [out] float32
    dtype: torch.dtype  # of the result

    @classmethod
    def quantise(cls, linear: Linear, dtype: torch.dtype) -> Int8Product:
        """Quantise the weights with one scale per output channel; the product's results have type ``dtype``."""
        weight = linear.weight.float()
        scales = weight.abs().amax(1).clamp(min=1e-30) / 127
        codes = (weight / scales[:, None]).round().to(torch.int8)
        return cls(
            weight=torch.ops.onednn.qlinear_prepack(codes, None),
            scales=scales,
            zeros=torch.zeros(len(scales), dtype=torch.int32, device="cpu"),
            correction=-ZERO * scales * codes.float().sum(1),
            bias=linear.bias.float(),
            dtype=dtype,
        )

    def __call__(self, x: Quantised) -> Scaled:
        """Multiply by the weights: ``[tokens, in] -> [tokens, out]``."""
        y = torch.ops.onednn.qlinear_pointwise(
            x.codes, 1.0, 0, self.weight, self.scales, self.zeros, self.correction, 1.0, 0, self.dtype, "none", [], ""
        )
        return Scaled(y, x.scale, self.bias)


@dataclass(frozen=True)
class Int8Layer:
    """One transformer layer on quantised activations."""

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
        """Apply the layer once to hidden values: ``[tokens, width] -> [tokens, width]``."""
        run = self.kernels
        mixed = run.attend(run.dequantise(self.qkv(run.quantise(hidden))), layout, self.heads)
        attended, codes = run.scaled_add_norm_quantise(hidden, self.dense(run.quantise(mixed)), self.attention_norm)
        return run.scaled_add_norm(attended, self.narrow(self.activate(self.widen(codes))), self.norm)


def build_int8_layer(weights: LayerWeights, config: ModelConfig, kernels: Kernels, dtype: torch.dtype) -> Int8Layer:
    """Build the layer from float32 weights; its hidden values have type ``dtype``."""
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
    """Return a function that applies the activation ``name`` (as in transformers) and quantises the result."""
    if FUSED.get(name) == ("gelu", "tanh"):
        return kernels.gelu_quantise
    function = activation(name)
    return lambda scaled: kernels.quantise(function(kernels.dequantise(scaled)))


@cache
@isolated()
def can_int8() -> bool:
    """Whether int8 products run on this machine and agree with the exact product.

    Some builds of torch have no oneDNN operators, so this runs a small product and compares it (tolerance 2 %).
    """
    form: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
    codes = torch.arange(64, dtype=torch.uint8, device="cpu").view(2, 32) * 3
    linear = Linear(torch.linspace(-1, 1, 32 * 16, **form).view(16, 32), torch.zeros(16, **form))
    try:
        scaled = Int8Product.quantise(linear, torch.float32)(Quantised(codes, torch.ones(2, **form)))
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    expected = (codes.float() - ZERO) @ linear.weight.T
    return bool(torch.allclose(scaled.y, expected, rtol=0.02, atol=0.02 * float(expected.abs().max())))
