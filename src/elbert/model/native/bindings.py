"""Bindings: the library's variants, and a layer whose weights are packed for one of them.

Sizes, types, devices and memory layouts are checked before an address goes to C.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_char_p, c_float, c_int, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

PANEL = 16  # columns of packed weights that lie together; widths are multiples of it
NO_MEMORY = 1  # the library's return code
OFF = ("0", "off")
Numbers = Literal["float32", "bfloat16", "int8"]
"""The type of the weights."""
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
LONG = ctypes.c_int64


class ProductStruct(Structure):
    """``Product`` of variant.h."""

    _fields_ = [
        ("in", LONG),
        ("out", LONG),
        ("panels", c_void_p),
        ("bias", c_void_p),
        ("scales", c_void_p),
        ("sums", c_void_p),
        ("activation", LONG),
    ]


class LayerStruct(Structure):
    """``Layer`` of variant.h."""

    _fields_ = [
        ("width", LONG),
        ("inner", LONG),
        ("heads", LONG),
        ("mode", LONG),
        ("half", LONG),
        *[(name, ProductStruct) for name in ("qkv", "dense", "widen", "narrow")],
        *[(name, c_void_p) for name in ("attention_weight", "attention_bias", "weight", "bias")],
        ("attention_eps", c_float),
        ("eps", c_float),
    ]


LAYER_CALL = ctypes.CFUNCTYPE(
    c_int,
    *(POINTER(LayerStruct), c_void_p, c_void_p, c_void_p, LONG, LONG, c_int, c_void_p, LONG, POINTER(LONG)),
)


class VariantStruct(Structure):
    """``Variant`` of variant.h."""

    _fields_ = [("layer", LAYER_CALL), ("zero", c_int), ("halves", c_int)]


@dataclass(frozen=True)
class NoVariant:
    """There is no native code for this machine; ``reason`` is why, in one line."""

    reason: str


@dataclass(frozen=True)
class Variant:
    """The library compiled for one instruction set.

    zero:   added to the codes of activations, because some processors multiply unsigned codes only
    halves: whether the processor multiplies pairs of bfloat16 numbers, so that hidden values can have that type
    """

    name: str
    zero: int
    halves: bool
    run_layer: Any

    def hidden_dtype(self, numbers: Numbers) -> torch.dtype:
        """The type of hidden values with weights of this type."""
        return torch.bfloat16 if self.halves and numbers != "float32" else torch.float32


@cache
def load() -> Variant | NoVariant:
    """Return the fastest variant that this processor runs, or the one that ``ELBERT_NATIVE`` names, or why there is
    none."""
    chosen = os.environ.get("ELBERT_NATIVE", "").strip().lower()
    if chosen in OFF:
        return NoVariant(f"switched off by ELBERT_NATIVE={chosen}")
    variants = list_variants()
    if isinstance(variants, NoVariant):
        return variants
    found = [variant for variant in variants if not chosen or variant.name == chosen]
    if found:
        return found[-1]
    names = ", ".join(variant.name for variant in variants) or "none"
    if chosen:
        return NoVariant(f"ELBERT_NATIVE is {chosen[:40]!r}; this processor runs {names} (or off)")
    return NoVariant("this processor runs none of the compiled variants")


@cache
def list_variants() -> tuple[Variant, ...] | NoVariant:
    """Return the variants that this processor runs, from the slowest to the fastest, or why there is no library."""
    files = sorted(Path(__file__).parent.glob("elbert_native.*"))
    if not files:
        return NoVariant("this installation has no compiled library: install a wheel, or from source with a C compiler")
    try:
        library = ctypes.CDLL(str(files[0]))
        library.elbert_variant_name.restype = c_char_p
        library.elbert_variant.restype = POINTER(VariantStruct)
    except (OSError, AttributeError) as error:
        return NoVariant(f"the compiled library cannot be loaded: {error!s:.300}")
    found, index = [], 0
    while name := library.elbert_variant_name(index):
        if library.elbert_variant_runs(index):
            struct = library.elbert_variant(index).contents
            found.append(Variant(name.decode(), struct.zero, bool(struct.halves), struct.layer))
        index += 1
    return tuple(found)


class NativeProduct(NamedTuple):
    """``activation(x @ weight.T + bias)``: ``weight [out, in]``, ``bias [out]``, both float32; ``activation`` is a
    number of :data:`ACTIVATIONS`, 0 for none."""

    weight: Tensor
    bias: Tensor
    activation: int = 0


Norm = Sequence[Any]
"""``(weight [width], bias [width], eps)``"""


class NativeLayer:
    """A transformer layer, packed for one variant. Calls from several threads at once are allowed.

    The result of a row is the same whatever the rest of the batch is, but for the last bits of its floats where
    another tile size of the products sums in another order. There are no gradients.
    """

    def __init__(
        self,
        variant: Variant,
        numbers: Numbers,
        *,
        heads: int,
        qkv: NativeProduct,
        dense: NativeProduct,
        attention_norm: Norm,
        widen: NativeProduct,
        narrow: NativeProduct,
        norm: Norm,
    ) -> None:
        """Pack the weights.

        Raises:
            ValueError: a size is not supported (see :meth:`supports`), or the sizes of the parts contradict each other.
        """
        width, inner = dense.weight.shape[0], widen.weight.shape[0]
        if not self.supports(width, inner, heads):
            raise ValueError(f"width {width}, inner width {inner}, {heads} heads: expected multiples of {PANEL}")
        self.dtype = variant.hidden_dtype(numbers)
        self.width = width
        half = self.dtype == torch.bfloat16
        mode = CODES if numbers == "int8" else SINGLE if numbers == "float32" else HALVES if half else WIDENED
        self._kept: list[Tensor] = []  # tensors whose memory the struct refers to
        products = {
            "qkv": self._pack(qkv, (3 * width, width), mode, variant.zero),
            "dense": self._pack(dense, (width, width), mode, variant.zero),
            "widen": self._pack(widen, (inner, width), mode, variant.zero),
            "narrow": self._pack(narrow, (width, inner), mode, variant.zero),
        }
        self._struct = LayerStruct(
            width=width,
            inner=inner,
            heads=heads,
            mode=mode,
            half=half,
            **products,
            attention_weight=self._keep(attention_norm[0], width),
            attention_bias=self._keep(attention_norm[1], width),
            weight=self._keep(norm[0], width),
            bias=self._keep(norm[1], width),
            attention_eps=attention_norm[2],
            eps=norm[2],
        )
        self._run = variant.run_layer
        self._local = threading.local()

    @staticmethod
    def supports(width: int, inner: int, heads: int) -> bool:
        """Whether a layer of these sizes can be packed."""
        return width % PANEL == 0 and inner % PANEL == 0 and width % heads == 0 and width // heads % 2 == 0

    def __call__(self, hidden: Tensor, bounds: Tensor, tokens: int) -> Tensor:
        """Apply the layer: ``hidden [size, width] -> [size, width]``; row r has the tokens ``bounds[r]`` to
        ``bounds[r + 1]``, ``tokens`` together. What follows them is filler, and is 0 in the result.

        Raises:
            ValueError: a type, size, device or memory layout is not the documented one.
            MemoryError: there is no memory to compute in.
        """
        size, rows = hidden.shape[0], bounds.numel() - 1
        _expect(hidden, self.dtype, size * self.width)
        _expect(bounds, torch.int64, rows + 1)
        if rows < 0 or not 0 <= tokens <= size:
            raise ValueError(f"expected bounds and at most {size} tokens, got {rows + 1} bounds and {tokens} tokens")
        out = torch.empty((size, self.width), dtype=self.dtype, device="cpu")
        if tokens < size:
            out[tokens:] = 0
        needed = LONG(0)
        for _ in range(2):  # once more if the memory of this thread was too small
            scratch = self._scratch(needed.value)
            code = self._run(
                ctypes.byref(self._struct),
                hidden.data_ptr(),
                out.data_ptr(),
                bounds.data_ptr(),
                rows,
                tokens,
                torch.get_num_threads(),
                scratch.data_ptr(),
                scratch.numel(),
                ctypes.byref(needed),
            )
            if code != NO_MEMORY:
                break
        if code:
            raise (
                MemoryError("no memory for the layer")
                if code == NO_MEMORY
                else ValueError("bounds must rise from 0 to the number of tokens")
            )
        return out

    def _scratch(self, needed: int) -> Tensor:
        """Memory of the calling thread, kept between calls: fresh memory would cost a page fault for every 4 kB."""
        kept: Tensor | None = getattr(self._local, "scratch", None)
        if kept is None or kept.numel() < needed:
            kept = torch.empty(max(needed, 1 << 20), dtype=torch.uint8, device="cpu")
            self._local.scratch = kept
        return kept

    def _pack(self, product: NativeProduct, shape: tuple[int, int], mode: int, zero: int) -> ProductStruct:
        out, summed = shape
        weight = product.weight.detach().to("cpu", torch.float32)
        if tuple(weight.shape) != shape:
            raise ValueError(f"expected a weight {list(shape)}, got {list(weight.shape)}")
        scales = sums = None
        if mode == CODES:
            factors = weight.abs().amax(1).clamp(min=1e-30) / 127
            weight = (weight / factors[:, None]).round().to(torch.int8)
            scales = self._keep(factors, out)
            sums = self._keep(weight.to(torch.int32).sum(1, dtype=torch.int32) * zero, out, torch.int32)
        elif mode != SINGLE:
            weight = weight.to(torch.bfloat16)
        unit = UNITS[mode]
        panels = weight.view(out // PANEL, PANEL, summed // unit, unit).transpose(1, 2)
        return ProductStruct(
            summed,
            out,
            self._keep(panels, out * summed, weight.dtype),
            self._keep(product.bias, out),
            scales,
            sums,
            product.activation,
        )

    def _keep(self, tensor: Tensor, size: int, dtype: torch.dtype = torch.float32) -> int:
        """Return the address of a contiguous copy that lives as long as the layer, at a multiple of 64 bytes."""
        copy = torch.empty(size * tensor.element_size() + 64, dtype=torch.uint8, device="cpu")
        begin = -copy.data_ptr() % 64
        place = copy[begin : begin + size * torch.empty((), dtype=dtype, device="cpu").element_size()].view(dtype)
        place.copy_(tensor.detach().reshape(-1))
        self._kept.append(copy)
        return place.data_ptr()


def _expect(tensor: Tensor, dtype: torch.dtype, size: int) -> None:
    """Check a tensor before its address goes to C, which would otherwise read or write outside the tensor.

    Raises:
        ValueError: type, size, memory layout or device is wrong.
    """
    if tensor.dtype is not dtype or tensor.numel() != size or not tensor.is_contiguous() or not tensor.is_cpu:
        raise ValueError(
            f"expected {size} contiguous {dtype} values on the CPU, "
            f"got {list(tensor.shape)} {tensor.dtype} with strides {tensor.stride()} on {tensor.device}"
        )
