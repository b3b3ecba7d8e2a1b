"""Operations between a layer's matrix products: attention, layer norm, quantisation.

They run where no native code is available, and are part of the reference for it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from elbert.model.layout import Layout


class Norm(NamedTuple):
    """Layer norm over the last axis."""

    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise ``x [..., width]``; the result has the same shape."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)

    def to(self, dtype: torch.dtype) -> Norm:
        """Return a copy whose weight and bias have type ``dtype``."""
        return Norm(self.weight.to(dtype), self.bias.to(dtype), self.eps)


class Quantised(NamedTuple):
    """Values in 8 bits: ``codes [tokens, width]`` uint8 with zero point 128, and ``scale [tokens]`` float32.

    A value is ``(code - 128) * scale``.
    """

    codes: Tensor
    scale: Tensor


class Scaled(NamedTuple):
    """Values before their scale and bias are applied: they represent ``scale * y + bias``.

    ``y [tokens, width]`` has the hidden type; ``scale [tokens]`` and ``bias [width]`` are float32.
    """

    y: Tensor
    scale: Tensor
    bias: Tensor


class Kernels(Protocol):
    """Operations on packed rows (no padding); the result of a row does not depend on the other rows of its batch."""

    norm_dtype: torch.dtype  # the type that norm weights and biases must have

    def attend(self, qkv: Tensor, layout: Layout, heads: int) -> Tensor:
        """Attention within each row: ``[tokens, 3 width] -> [tokens, width]``."""

    def add_norm(self, x: Tensor, y: Tensor, norm: Norm) -> Tensor:
        """``norm(x + y)``, all ``[tokens, width]``."""

    def quantise(self, x: Tensor) -> Quantised:
        """Quantise ``[tokens, width]`` to 8 bits, with one scale per token."""

    def dequantise(self, scaled: Scaled) -> Tensor:
        """Apply scale and bias: ``[tokens, width]`` in the hidden type."""

    def gelu_quantise(self, scaled: Scaled) -> Quantised:
        """Apply scale and bias, then GELU (tanh approximation), and quantise the result."""

    def scaled_add_norm(self, x: Tensor, scaled: Scaled, norm: Norm) -> Tensor:
        """``norm(x + scale * y + bias)``: ``[tokens, width]`` in the type of ``x``."""

    def scaled_add_norm_quantise(self, x: Tensor, scaled: Scaled, norm: Norm) -> tuple[Tensor, Quantised]:
        """Return the result of ``scaled_add_norm`` and its quantised form."""


class TorchKernels:
    """Kernels in plain torch, for any device."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.norm_dtype = dtype

    def attend(self, qkv: Tensor, layout: Layout, heads: int) -> Tensor:
        """Attention within each row.

        Torch's attention takes rows of equal length, so this is the only operation that pads.
        """
        packed = qkv.view(layout.size, 3, heads, -1)
        query, key, value = layout.pad(packed).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=layout.mask)
        return layout.pack(mixed.transpose(1, 2)).reshape(qkv.shape[0], -1)

    def add_norm(self, x: Tensor, y: Tensor, norm: Norm) -> Tensor:
        """``norm(x + y)``, computed in the type of the inputs."""
        return norm(x + y)

    def quantise(self, x: Tensor) -> Quantised:
        """Symmetric quantisation: 127 steps between zero and the largest magnitude of each token."""
        x = x.float()
        largest = x.abs().amax(-1, keepdim=True)
        steps = torch.where(largest > 0, 127 / largest, 0)
        return Quantised((x * steps).round_().add_(128).to(torch.uint8), largest[:, 0] / 127)

    def dequantise(self, scaled: Scaled) -> Tensor:
        """``scale * y + bias``, computed in float32 and rounded to the hidden type."""
        return self._value(scaled).to(scaled.y.dtype)

    def gelu_quantise(self, scaled: Scaled) -> Quantised:
        """Computed in float32; the quantised values are not rounded to the hidden type first."""
        return self.quantise(functional.gelu(self._value(scaled), approximate="tanh"))

    def scaled_add_norm(self, x: Tensor, scaled: Scaled, norm: Norm) -> Tensor:
        """Computed in float32 and rounded to the type of ``x``."""
        return norm.to(torch.float32)(x.float() + self._value(scaled)).to(x.dtype)

    def scaled_add_norm_quantise(self, x: Tensor, scaled: Scaled, norm: Norm) -> tuple[Tensor, Quantised]:
        """Computed in float32; quantised before the result is rounded to the type of ``x``."""
        exact = norm.to(torch.float32)(x.float() + self._value(scaled))
        return exact.to(x.dtype), self.quantise(exact)

    def _value(self, scaled: Scaled) -> Tensor:
        return scaled.y.float() * scaled.scale.unsqueeze(-1) + scaled.bias
