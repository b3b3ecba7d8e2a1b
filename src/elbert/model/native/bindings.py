"""Bindings: the C functions called on torch tensors, with their sizes and types checked."""

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
NO_MEMORY = 1  # the return code of lanes.h when scratch memory cannot be allocated

Function = Callable[..., int]  # a C function; returns 0 or an error code
Scaling = tuple[Tensor, Tensor] | None  # scale [tokens] and bias [width] to apply to a product


@dataclass(frozen=True)
class NoKernels:
    """The kernels are not available on this machine; ``reason`` is why, in one line."""

    reason: str


class Quantised(NamedTuple):
    """Values in 8 bits: ``codes [tokens, width]`` uint8 with zero point 128, and ``scale [tokens]`` float32.

    A value is ``(code - 128) * scale``.
    """

    codes: Tensor
    scale: Tensor


class Kernels:
    """Kernels for hidden values of the types in ``dtypes``; they use torch's number of threads.

    Tensors must be contiguous and on the CPU. Hidden values are float32 or bfloat16, and all computation is in
    float32. The result of a token (in ``attend``, of a row) is bitwise the same whatever the rest of the batch is.
    There are no gradients. All methods raise ``ValueError`` for tensors whose type, size or memory layout is not the
    documented one.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        suffixes = {dtype: suffix for dtype, suffix in SUFFIXES.items() if hasattr(library, f"attend_{suffix}")}
        self.dtypes = frozenset(suffixes)
        self._attend, self._norm, self._quantise, self._dequantise = (
            {dtype: _bind_function(library, name, suffix) for dtype, suffix in suffixes.items()} for name in SIGNATURES
        )

    def attend(self, qkv: Tensor, starts: Tensor, heads: int) -> Tensor:
        """Attention within each row: ``qkv [tokens, 3 width], starts [rows + 1] int64 -> [tokens, width]``.

        The three thirds of the last axis are queries, keys and values, each divided into heads. Scores are scaled by
        1/sqrt(head width). Row r has the tokens ``starts[r]`` to ``starts[r + 1]``.
        """
        dtype, (tokens, wide) = qkv.dtype, qkv.shape
        width = wide // 3
        _expect(qkv, dtype, tokens * 3 * width)
        _expect(starts, torch.int64, starts.numel())
        if heads < 1 or width % heads or (dtype == torch.bfloat16 and width // heads % 2) or not starts.numel():
            raise ValueError(f"expected an even head width and rows, got width {width}, heads {heads}, starts {starts}")
        out = torch.empty((tokens, width), dtype=dtype, device="cpu")
        _expect(out, dtype, tokens * width)
        sizes = (tokens, starts.numel() - 1, heads, width)
        _call(self._attend, dtype, qkv.data_ptr(), starts.data_ptr(), *sizes, out.data_ptr())
        return out

    def add_norm(self, x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        """``layer_norm(x + y)``: ``x, y [tokens, width]`` in the hidden type; ``weight, bias [width]`` float32."""
        return self._run_norm(x, y, None, (weight, bias, eps), None)

    def scaled_add_norm(
        self, x: Tensor, y: Tensor, scale: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, eps: float
    ) -> Tensor:
        """``layer_norm(x + scale * y + bias)``: ``scale [tokens]``, ``bias [width]`` float32; see ``add_norm``."""
        return self._run_norm(x, y, (scale, bias), (norm_weight, norm_bias, eps), None)

    def scaled_add_norm_quantise(
        self, x: Tensor, y: Tensor, scale: Tensor, bias: Tensor, norm_weight: Tensor, norm_bias: Tensor, eps: float
    ) -> tuple[Tensor, Quantised]:
        """``scaled_add_norm`` and its quantised form, which is computed before rounding to the hidden type."""
        quantised = _codes_for(x)
        return self._run_norm(x, y, (scale, bias), (norm_weight, norm_bias, eps), quantised), quantised

    def quantise(self, x: Tensor) -> Quantised:
        """Quantise ``x [tokens, width]``; the scale of a token is its largest magnitude / 127."""
        return self._run_quantise(x, None)

    def gelu_quantise(self, y: Tensor, scale: Tensor, bias: Tensor) -> Quantised:
        """``quantise(gelu_tanh(scale * y + bias))``: ``y [tokens, width]``, ``scale [tokens]``, ``bias [width]``."""
        return self._run_quantise(y, (scale, bias))

    def dequantise(self, y: Tensor, scale: Tensor, bias: Tensor, out: Tensor | None = None) -> Tensor:
        """``scale * y + bias`` in the type of ``y``; the sizes are those of ``gelu_quantise``.

        The result is written to ``out`` if it is not None; ``out`` may be ``y``.
        """
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
        _expect(out, dtype, tokens * width)
        codes = (None, None) if quantised is None else _code_pointers(quantised, tokens, width)
        pointers = (x.data_ptr(), y.data_ptr(), *_scaling(scaling, tokens, width), weight.data_ptr(), shift.data_ptr())
        _call(self._norm, dtype, *pointers, eps, out.data_ptr(), *codes, tokens, width)
        return out

    def _run_quantise(self, x: Tensor, scaling: Scaling) -> Quantised:
        dtype, (tokens, width) = x.dtype, x.shape
        _expect(x, dtype, tokens * width)
        quantised = _codes_for(x)
        codes = _code_pointers(quantised, tokens, width)
        pointers = (x.data_ptr(), *_scaling(scaling, tokens, width), *codes)
        _call(self._quantise, dtype, *pointers, tokens, width)
        return quantised


def _scaling(scaling: Scaling, tokens: int, width: int) -> tuple[int | None, int | None]:
    if scaling is None:
        return None, None
    scale, bias = scaling
    _expect(scale, torch.float32, tokens)
    _expect(bias, torch.float32, width)
    return scale.data_ptr(), bias.data_ptr()


def _code_pointers(quantised: Quantised, tokens: int, width: int) -> tuple[int, int]:
    _expect(quantised.codes, torch.uint8, tokens * width)
    _expect(quantised.scale, torch.float32, tokens)
    return quantised.codes.data_ptr(), quantised.scale.data_ptr()


def _bind_function(library: ctypes.CDLL, name: str, suffix: str) -> Function:
    function: Function = getattr(library, f"{name}_{suffix}")
    function.argtypes, function.restype = SIGNATURES[name], INT  # type: ignore[attr-defined]
    return function


def _call(functions: dict[torch.dtype, Function], dtype: torch.dtype, *arguments: float | None) -> None:
    """Call the function for ``dtype`` with torch's number of threads.

    OpenMP keeps its own number per calling thread, so it is correct only in some threads; hence the argument.

    Raises:
        ValueError: there is no kernel for ``dtype``, or ``starts`` is not valid.
        MemoryError: the scratch memory cannot be allocated.
    """
    if dtype not in functions:
        raise ValueError(f"expected hidden values of type {' or '.join(map(str, functions))}, got {dtype}")
    if code := functions[dtype](*arguments, torch.get_num_threads()):
        if code == NO_MEMORY:
            raise MemoryError("no memory for the kernels' scratch space")
        raise ValueError("starts must rise from 0 to the number of tokens")


def _expect(tensor: Tensor, dtype: torch.dtype, size: int) -> None:
    """Check a tensor before its address goes to C, which would otherwise read or write outside the tensor.

    Raises:
        ValueError: type, size, memory layout or device is wrong.
    """
    is_plain = tensor.is_cpu and tensor.layout is torch.strided and tensor.is_contiguous()
    if tensor.dtype is not dtype or tensor.numel() != size or not is_plain:
        raise ValueError(
            f"expected {size} contiguous {dtype} values on the CPU, "
            f"got {list(tensor.shape)} {tensor.dtype}, {tensor.layout}, on {tensor.device}"
        )


def _codes_for(x: Tensor) -> Quantised:
    tokens, width = x.shape
    return Quantised(
        codes=torch.empty((tokens, width), dtype=torch.uint8, device="cpu"),
        scale=torch.empty(tokens, dtype=torch.float32, device="cpu"),
    )
