"""What stands between a layer's matrix products: attention, norms, quantising. In torch here; in C in ``native``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from elbert.model import native
from elbert.model.layout import Layout
from elbert.model.native.bindings import Quantised


class Norm(NamedTuple):
    """Layer norm over the last axis."""

    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        """Same shape out as in."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)

    def to(self, dtype: torch.dtype) -> Norm:
        """With weights of that type."""
        return Norm(self.weight.to(dtype), self.bias.to(dtype), self.eps)


class Scaled(NamedTuple):
    """Values that are still to be multiplied, token by token, and shifted: ``scale y + bias``.

    y ``[tokens, width]`` in the hidden type; scale ``[tokens]`` and bias ``[width]`` float32.
    """

    y: Tensor
    scale: Tensor
    bias: Tensor


class Kernels(Protocol):
    """Everything works on packed rows, and a row's result does not depend on its neighbours."""

    norm_dtype: torch.dtype  # what the weights of norms must be

    def attend(self, qkv: Tensor, layout: Layout, heads: int) -> Tensor:
        """Attention within each row: ``[tokens, 3 width] -> [tokens, width]``."""

    def add_norm(self, x: Tensor, y: Tensor, norm: Norm) -> Tensor:
        """``norm(x + y)``, all ``[tokens, width]``."""

    def quantise(self, x: Tensor) -> Quantised:
        """Each token on its own scale."""

    def dequantise(self, scaled: Scaled) -> Tensor:
        """``[tokens, width]`` in the hidden type."""

    def gelu_quantise(self, scaled: Scaled) -> Quantised:
        """The tanh form of GELU, quantised."""

    def scaled_add_norm(self, x: Tensor, scaled: Scaled, norm: Norm) -> Tensor:
        """``norm(x + scaled)``."""

    def scaled_add_norm_quantise(self, x: Tensor, scaled: Scaled, norm: Norm) -> tuple[Tensor, Quantised]:
        """The same, and its quantised form."""


class TorchKernels:
    """In plain torch, on any device: what runs where no compiler is, and the twin of what is compiled."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.norm_dtype = dtype

    def attend(self, qkv: Tensor, layout: Layout, heads: int) -> Tensor:
        """Attention is the only place where rows must stand side by side, so the only one that pads."""
        packed = qkv.view(layout.size, 3, heads, -1)
        query, key, value = layout.pad(packed).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=layout.mask)
        return layout.pack(mixed.transpose(1, 2)).reshape(qkv.shape[0], -1)

    def add_norm(self, x: Tensor, y: Tensor, norm: Norm) -> Tensor:
        """``norm(x + y)``."""
        return norm(x + y)

    def quantise(self, x: Tensor) -> Quantised:
        """Symmetric, 127 steps to each token's largest magnitude."""
        x = x.float()
        largest = x.abs().amax(-1, keepdim=True)
        steps = torch.where(largest > 0, 127 / largest, 0)
        return Quantised((x * steps).round_().add_(128).to(torch.uint8), largest[:, 0] / 127)

    def dequantise(self, scaled: Scaled) -> Tensor:
        """Computed in float32."""
        return self._value(scaled).to(scaled.y.dtype)

    def gelu_quantise(self, scaled: Scaled) -> Quantised:
        """Computed in float32."""
        return self.quantise(functional.gelu(self._value(scaled), approximate="tanh"))

    def scaled_add_norm(self, x: Tensor, scaled: Scaled, norm: Norm) -> Tensor:
        """Computed in float32."""
        return norm.to(torch.float32)(x.float() + self._value(scaled)).to(x.dtype)

    def scaled_add_norm_quantise(self, x: Tensor, scaled: Scaled, norm: Norm) -> tuple[Tensor, Quantised]:
        """Computed in float32."""
        exact = norm.to(torch.float32)(x.float() + self._value(scaled))
        return exact.to(x.dtype), self.quantise(exact)

    def _value(self, scaled: Scaled) -> Tensor:
        return scaled.y.float() * scaled.scale.unsqueeze(-1) + scaled.bias


class NativeKernels:
    """In C: no padding anywhere, one pass over memory each."""

    norm_dtype = torch.float32

    def __init__(self, kernels: native.Kernels) -> None:
        self._run = kernels
        self.quantise: Callable[[Tensor], Quantised] = kernels.quantise

    def attend(self, qkv: Tensor, layout: Layout, heads: int) -> Tensor:
        """Attention within each row."""
        return self._run.attend(qkv, layout.spans, heads)

    def add_norm(self, x: Tensor, y: Tensor, norm: Norm) -> Tensor:
        """``norm(x + y)``."""
        return self._run.add_norm(x, y, *norm)

    def dequantise(self, scaled: Scaled) -> Tensor:
        """In place: no other code holds the values."""
        return self._run.dequantise(*scaled, out=scaled.y)

    def gelu_quantise(self, scaled: Scaled) -> Quantised:
        """GELU and quantised."""
        return self._run.gelu_quantise(*scaled)

    def scaled_add_norm(self, x: Tensor, scaled: Scaled, norm: Norm) -> Tensor:
        """``norm(x + scaled)``."""
        return self._run.scaled_add_norm(x, *scaled, *norm)

    def scaled_add_norm_quantise(self, x: Tensor, scaled: Scaled, norm: Norm) -> tuple[Tensor, Quantised]:
        """The same, and its quantised form."""
        return self._run.scaled_add_norm_quantise(x, *scaled, *norm)
