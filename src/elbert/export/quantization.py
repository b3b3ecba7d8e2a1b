"""Storage of weights in the file, and products with them: float32, float16, int8.

float16 halves the file; values become float32 once, when the file is loaded, because CPUs do not multiply faster in
float16. int8 multiplies integers: weights have a scale per output channel, activations one per token, computed as they
come, so that a row's result does not depend on the other rows of its batch. ``DynamicQuantizeLinear``, with one scale
for all tokens, lacks this property and is no faster; signed activations and ``MatMulNBits`` were measured and are much
slower.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from elbert.errors import InputError
from elbert.export.graph import FLOAT, UINT8, Graph, Value

Dtype = Literal["float32", "float16", "int8"]
Floats = NDArray[np.float32]
Inside = Callable[[Graph, Value], Value]
"""A function that adds nodes to the graph that reads the weights: the outer graph, or a loop's body."""

ZERO = 128  # zero point of the unsigned activations that CPUs' int8 products take
TOO_LARGE = 65_520  # from here, float16 rounds to infinity
STEPS = 127  # integer steps from 0 to the largest magnitude


class Form(ABC):
    """A storage form of weights. Biases, norms and the classifier are always float32."""

    token_by_token: ClassVar[bool] = False  # whether products take [tokens, in] only

    @abstractmethod
    def table(self, g: Graph, name: str, rows: Floats) -> Inside:
        """``ids [...] -> [..., width]`` of a table ``[number, width]``."""

    @abstractmethod
    def product(self, g: Graph, name: str, weight: Floats, bias: Floats) -> Inside:
        """``[..., in] -> [..., out]``: ``x @ weight.T + bias`` for a weight ``[out, in]``."""


class Float32(Form):
    """Weights as trained."""

    def table(self, g: Graph, name: str, rows: Floats) -> Inside:
        """``ids -> rows``."""
        stored = g.weight(name, rows)
        return lambda inside, ids: inside.Gather(stored, ids, axis=0)

    def product(self, g: Graph, name: str, weight: Floats, bias: Floats) -> Inside:
        """``x @ weight.T + bias``."""
        stored, shift = g.weight(f"{name}.weight", np.ascontiguousarray(weight.T)), g.weight(f"{name}.bias", bias)
        return lambda inside, x: inside.Add(inside.MatMul(x, stored), shift)


class Float16(Form):
    """Stored in half the bytes, computed in float32."""

    def table(self, g: Graph, name: str, rows: Floats) -> Inside:
        """``ids -> rows``; only the selected rows become float32."""
        stored = g.weight(name, to_half(name, rows))
        return lambda inside, ids: inside.Cast(inside.Gather(stored, ids, axis=0), to=FLOAT)

    def product(self, g: Graph, name: str, weight: Floats, bias: Floats) -> Inside:
        """``x @ weight.T + bias``."""
        stored = g.weight(f"{name}.weight", to_half(name, np.ascontiguousarray(weight.T)))
        exact, shift = g.Cast(stored, to=FLOAT), g.weight(f"{name}.bias", bias)
        return lambda inside, x: inside.Add(inside.MatMul(x, exact), shift)


class Int8(Form):
    """Integers from -127 to 127, with a scale per row or output channel."""

    token_by_token = True

    def table(self, g: Graph, name: str, rows: Floats) -> Inside:
        """``ids -> rows``, with a scale per row."""
        codes, scales = quantize(rows, np.abs(rows).max(1))
        stored, steps = g.weight(name, codes), g.weight(f"{name}.scales", scales[:, None])

        def read(inside: Graph, ids: Value) -> Value:
            whole = inside.Cast(inside.Gather(stored, ids, axis=0), to=FLOAT)
            return inside.Mul(whole, inside.Gather(steps, ids, axis=0))

        return read

    def product(self, g: Graph, name: str, weight: Floats, bias: Floats) -> Inside:
        """``x @ weight.T + bias``, x quantized per token."""
        codes, scales = quantize(weight, largest_pair_sums(weight))
        stored, shift = g.weight(f"{name}.weight", np.ascontiguousarray(codes.T)), g.weight(f"{name}.bias", bias)
        steps = g.weight(f"{name}.scales", scales)

        def run(inside: Graph, x: Value) -> Value:
            # The minimum avoids a division by zero for tokens that are all zeros.
            largest = inside.Max(inside.ReduceMax(inside.Abs(x), [1], keepdims=0), 1e-30)
            scale = inside.Mul(largest, 1 / STEPS)
            zeros = inside.ConstantOfShape(inside.Shape(scale), value=make_scalar(inside, UINT8, ZERO))
            whole = inside.QuantizeLinear(x, scale, zeros, axis=0)
            summed = inside.Cast(inside.MatMulInteger(whole, stored, np.array(ZERO, np.uint8)), to=FLOAT)
            return inside.Add(inside.Mul(inside.Mul(summed, steps), inside.Unsqueeze(scale, [1])), shift)

        return run


FORMS: dict[Dtype, type[Form]] = {"float32": Float32, "float16": Float16, "int8": Int8}


def to_half(name: str, values: Floats) -> NDArray[np.float16]:
    """Return values in float16.

    Raises:
        InputError: one is too large for it, and would be infinite.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if largest >= TOO_LARGE:
        raise InputError(
            f"{name} has a weight of {largest:.3g}, and float16 has numbers below {TOO_LARGE}: use float32"
        )
    return values.astype(np.float16)


def quantize(rows: Floats, largest: Floats) -> tuple[NDArray[np.int8], Floats]:
    """``(codes [n, width], scales [n])``: a scale per row, on which ``largest [n]`` becomes 127."""
    scales = np.maximum(largest, 1e-30) / STEPS
    codes = np.rint(rows / scales[:, None]).astype(np.int8)
    return codes, scales.astype(np.float32)


def largest_pair_sums(weight: Floats) -> Floats:
    """``[out]``: the largest sum of two neighbours of one sign in each row of a weight ``[out, in]``.

    CPUs with AVX2 or AVX-512 but without VNNI add two products in 16 bits with saturation: 255 x (127 + 127)
    saturates, 255 x 128 does not. So no pair may exceed 127 steps.
    """
    even = np.pad(weight, ((0, 0), (0, weight.shape[1] % 2)))
    pairs = even.reshape(len(weight), -1, 2)
    sums = np.maximum(pairs.clip(min=0).sum(-1), (-pairs).clip(min=0).sum(-1))
    largest: Floats = sums.max(1)
    return largest


def make_scalar(g: Graph, kind: int, value: int) -> object:
    """A tensor with one number, for node attributes."""
    return g.helper.make_tensor("value", kind, [1], [value])
