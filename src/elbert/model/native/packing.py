"""Weights of products, packed in the order in which native code reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbert.model.native.bindings import Numbers, ProductStruct, Variant

PANEL = 16  # columns of packed weights that lie together; widths are multiples of it
CUT = 32  # values of the summed axis in a tile of the matrix unit
ACTIVATIONS = {  # transformers' names, and the library's numbers for them
    "gelu_new": 1,
    "gelu_pytorch_tanh": 1,
    "gelu": 2,
    "relu": 3,
    "tanh": 4,
    "silu": 5,
    "swish": 5,
}
SINGLE, HALVES, WIDENED, CODES = range(4)  # how a product computes; see variant.h
UNITS = {SINGLE: 1, HALVES: 2, WIDENED: 2, CODES: 4}  # values of the summed axis that lie together


class NativeProduct(NamedTuple):
    """``activation(x @ weight.T + bias)``: ``weight [out, in]``, ``bias [out]``, both float32; ``activation`` is a
    number of :data:`ACTIVATIONS`, 0 for none."""

    weight: Tensor
    bias: Tensor
    activation: int = 0


Norm = Sequence[Any]
"""``(weight [width], bias [width], eps)``"""


class Packed:
    """Packed weights, and memory for calls. Calls from several threads at once are allowed; there are no gradients."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self._kept: list[Tensor] = []  # tensors whose memory a struct refers to

    def pack(self, product: NativeProduct, shape: tuple[int, int], mode: int, *, splits: bool = False) -> ProductStruct:
        """Pack weights ``shape``; more columns than the weights have are 0. ``splits``: also as sums of two bfloat16
        numbers, where that loses nothing."""
        out, summed = shape
        weight = product.weight.detach().to("cpu", torch.float32)
        if tuple(weight.shape) != shape:
            raise ValueError(f"expected a weight {list(shape)}, got {list(weight.shape)}")
        missing = -out % PANEL
        weight = torch.cat((weight, weight.new_zeros(missing, summed)))
        bias = torch.cat((product.bias.detach().to("cpu", torch.float32), weight.new_zeros(missing)))
        out += missing
        scales = sums = None
        if mode == CODES:
            factors = weight.abs().amax(1).clamp(min=1e-30) / 127
            weight = (weight / factors[:, None]).round().to(torch.int8)
            scales = self.keep(factors, out)
            zeros = weight.to(torch.int32).sum(1, dtype=torch.int32) * self.variant.zero
            sums = self.keep(zeros, out, torch.int32)
        elif mode != SINGLE:
            weight = weight.to(torch.bfloat16)
        unit = UNITS[mode]
        panels = weight.view(out // PANEL, PANEL, summed // unit, unit).transpose(1, 2)
        size = out * summed
        kept = self.keep(panels, size, weight.dtype)
        # Half the memory to read where it loses nothing, as where the file has weights of 16 bits.
        half = panels.half() if mode == SINGLE else None
        is_exact = half is not None and torch.equal(half.to(torch.float32), panels)
        brief = self.keep(half, size, torch.half) if half is not None and is_exact else None
        is_cut = brief is not None and splits and summed % CUT == 0
        cut = self.keep(cut_weights(weight), 2 * size, torch.int16) if is_cut else None
        return ProductStruct(summed, out, kept, brief, cut, self.keep(bias, out), scales, sums, product.activation)

    def keep(self, tensor: Tensor, size: int, dtype: torch.dtype = torch.float32) -> int:
        """Return the address of a contiguous copy that lives as long as this object, at a multiple of 64 bytes."""
        if tensor.numel() != size:
            raise ValueError(f"expected {size} values, got {list(tensor.shape)}")
        itemsize = torch.empty((), dtype=dtype, device="cpu").element_size()
        copy = torch.empty(size * itemsize + 64, dtype=torch.uint8, device="cpu")
        begin = -copy.data_ptr() % 64
        place = copy[begin : begin + size * itemsize].view(dtype)
        place.copy_(tensor.detach().reshape(-1))
        self._kept.append(copy)
        return place.data_ptr()


def cut_weights(weight: Tensor) -> Tensor:
    """``[out, in]`` float32, all of them numbers of 16 bits, as sums of two bfloat16 numbers, in tiles:
    ``[out / 16, in / 32, 2, 16, 16, 2]``, where the last axis has value i and value i + 16 of 32."""
    upper = (weight.view(torch.int32) & -0x10000).view(torch.float32)
    parts = [(part.contiguous().view(torch.int32) >> 16).to(torch.int16) for part in (upper, weight - upper)]
    panels, tiles = len(weight) // PANEL, weight.shape[1] // CUT
    return torch.stack([part.view(panels, PANEL, tiles, 2, 16).permute(0, 2, 4, 1, 3) for part in parts], 2)


def product_mode(numbers: Numbers, dtype: torch.dtype) -> int:
    """How a product with hidden values of this type computes, where its weights are not quantised."""
    return SINGLE if numbers == "float32" else HALVES if dtype == torch.bfloat16 else WIDENED
