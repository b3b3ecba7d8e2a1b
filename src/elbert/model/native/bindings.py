"""The C functions, over torch tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

POINTER, LONG, INT, FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float
SIGNATURES = {
    "attend": (POINTER, POINTER, LONG, LONG, LONG, LONG, POINTER, INT),
    "norm": (*[POINTER] * 6, FLOAT, *[POINTER] * 3, LONG, LONG, INT),
    "quantise": (*[POINTER] * 5, LONG, LONG, INT),
    "dequantise": (*[POINTER] * 4, LONG, LONG, INT),
}
SUFFIXES = {torch.float32: "f32", torch.bfloat16: "bf16"}
NO_MEMORY = 1  # as in lanes.h

Door = Callable[..., int]
Scaling = tuple[Tensor, Tensor] | None  # scale [tokens] and bias [width] of a product


@dataclass(frozen=True)
class NoKernels:
    """There are none on this machine, for this reason."""

    reason: str


class Quantised(NamedTuple):
    """``codes [tokens, width]`` uint8 around 128; a value is ``(code - 128) * scale``, ``scale [tokens]`` float32."""

    codes: Tensor
    scale: Tensor


class Kernels:
    """Kernels for hidden values of ``dtypes``, on as many threads as torch has.

    Tensors are contiguous and on the CPU; ``hidden`` types are float32 or bfloat16, everything is computed in float32,
    and a token's (in ``attend``, a row's) answer is the same bits whatever stands beside it. No gradients.
    All methods raise ``ValueError`` for tensors of another type, size or memory layout than they say.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        suffixes = {dtype: suffix for dtype, suffix in SUFFIXES.items() if hasattr(library, f"attend_{suffix}")}
        self.dtypes = frozenset(suffixes)
        self._attend, self._norm, self._quantise, self._dequantise = (
            {dtype: _door(library, name, suffix) for dtype, suffix in suffixes.items()} for name in SIGNATURES
        )

    def attend(self, qkv: Tensor, starts: Tensor, heads: int) -> Tensor:
        """Attention within each row: ``qkv [tokens, 3 width], starts [rows + 1] int64 -> [tokens, width]``.

        Queries, keys and values of a head lie at its place in each third; scores are scaled by 1/sqrt(head width).
        Row r is tokens ``starts[r]`` to ``starts[r + 1]``.
        """
        dtype, (tokens, wide) = qkv.dtype, qkv.shape
        width = wide // 3
        _expect(qkv, dtype, tokens * 3 * width)
        _expect(starts, torch.int64, starts.numel())
        if heads < 1 or width % heads or (dtype == torch.bfloat16 and width // heads % 2) or not starts.numel():
            raise ValueError(f"expected an even head width and rows, got width {width}, heads {heads}, starts {starts}")
        out = torch.empty((tokens, width), dtype=dtype)
        sizes = (tokens, starts.numel() - 1, heads, width)
        _call(self._attend, dtype, qkv.data_ptr(), starts.data_ptr(), *sizes, out.data_ptr())
        return out

    def add_norm(self, x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        """``layer_norm(x + y)``: ``[tokens, width], [tokens, width]``; float32 ``[width]``, ``[width]``."""
        return self._run_norm(x, y, None, (weight, bias, eps), None)

    def scaled_add_norm(
        self, x: Tensor, y: Tensor, scale: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, eps: float
    ) -> Tensor:
        """``layer_norm(x + scale y + bias)``; ``scale [tokens]`` and ``bias [width]`` float32, the rest as above."""
        return self._run_norm(x, y, (scale, bias), (norm_weight, norm_bias, eps), None)

    def scaled_add_norm_quantise(
        self, x: Tensor, y: Tensor, scale: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, eps: float
    ) -> tuple[Tensor, Quantised]:
        """``scaled_add_norm`` and its quantised form, taken before rounding to the hidden type."""
        quantised = _codes_for(x)
        return self._run_norm(x, y, (scale, bias), (norm_weight, norm_bias, eps), quantised), quantised

    def quantise(self, x: Tensor) -> Quantised:
        """Each token on its own scale, largest magnitude / 127: ``[tokens, width]``, hidden type."""
        return self._run_quantise(x, None)

    def gelu_quantise(self, y: Tensor, scale: Tensor, bias: Tensor) -> Quantised:
        """``quantise(gelu_tanh(scale y + bias))``: ``y [tokens, width]``, ``scale [tokens]``, ``bias [width]``."""
        return self._run_quantise(y, (scale, bias))

    def dequantise(self, y: Tensor, scale: Tensor, bias: Tensor, out: Tensor | None = None) -> Tensor:
        """``scale y + bias`` in y's type, into ``out`` if given, which may be ``y``: sizes as in ``gelu_quantise``."""
        dtype, (tokens, width) = y.dtype, y.shape
        out = torch.empty_like(y) if out is None else out
        _expect(y, dtype, tokens * width)
        _expect(out, dtype, tokens * width)
        pointers = (y.data_ptr(), *_scaling((scale, bias), tokens, width), out.data_ptr())
        _call(self._dequantise, dtype, *pointers, tokens, width)
        return out

    def _run_norm(
        self, x: Tensor, y: Tensor, scaling: Scaling, norm: tuple[Tensor, Tensor, float], quantised: Quantised | None
    ) -> Tensor:
        dtype, (tokens, width) = x.dtype, x.shape
        weight, shift, eps = norm
        _expect(x, dtype, tokens * width)
        _expect(y, dtype, tokens * width)
        _expect(weight, torch.float32, width)
        _expect(shift, torch.float32, width)
        out = torch.empty_like(x)
        codes = (None, None) if quantised is None else (quantised.codes.data_ptr(), quantised.scale.data_ptr())
        pointers = (x.data_ptr(), y.data_ptr(), *_scaling(scaling, tokens, width), weight.data_ptr(), shift.data_ptr())
        _call(self._norm, dtype, *pointers, eps, out.data_ptr(), *codes, tokens, width)
        return out

    def _run_quantise(self, x: Tensor, scaling: Scaling) -> Quantised:
        dtype, (tokens, width) = x.dtype, x.shape
        _expect(x, dtype, tokens * width)
        made = _codes_for(x)
        pointers = (x.data_ptr(), *_scaling(scaling, tokens, width), made.codes.data_ptr(), made.scale.data_ptr())
        _call(self._quantise, dtype, *pointers, tokens, width)
        return made


def _scaling(scaling: Scaling, tokens: int, width: int) -> tuple[int | None, int | None]:
    if scaling is None:
        return None, None
    scale, bias = scaling
    _expect(scale, torch.float32, tokens)
    _expect(bias, torch.float32, width)
    return scale.data_ptr(), bias.data_ptr()


def _door(library: ctypes.CDLL, name: str, suffix: str) -> Door:
    function: Door = getattr(library, f"{name}_{suffix}")
    function.argtypes, function.restype = SIGNATURES[name], INT  # type: ignore[attr-defined]
    return function


def _call(doors: dict[torch.dtype, Door], dtype: torch.dtype, *arguments: float | None) -> None:
    """Call the function of this type, on torch's number of threads, which OpenMP would tell only of some threads."""
    if dtype not in doors:
        raise ValueError(f"expected hidden values of type {' or '.join(map(str, doors))}, got {dtype}")
    if answer := doors[dtype](*arguments, torch.get_num_threads()):
        if answer == NO_MEMORY:
            raise MemoryError("no memory for the kernels' scratch space")
        raise ValueError("starts must rise from 0 to the number of tokens")


def _expect(tensor: Tensor, dtype: torch.dtype, size: int) -> None:
    """The C code does not check: another type or size would read or write outside the tensor."""
    if tensor.dtype is not dtype or tensor.numel() != size or not tensor.is_contiguous() or not tensor.is_cpu:
        raise ValueError(
            f"expected {size} contiguous {dtype} values on the CPU, "
            f"got {list(tensor.shape)} {tensor.dtype} with strides {tensor.stride()} on {tensor.device}"
        )


def _codes_for(x: Tensor) -> Quantised:
    tokens, width = x.shape
    return Quantised(torch.empty((tokens, width), dtype=torch.uint8), torch.empty(tokens, dtype=torch.float32))
