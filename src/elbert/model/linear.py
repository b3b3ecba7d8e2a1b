"""Matrix products with weights: torch's own, and oneDNN's with the weights laid out for it beforehand."""

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
    """The same, and an activation after it, by oneDNN: more than twice as fast as MKL on processors not Intel's."""

    weight: Tensor  # in oneDNN's own layout
    bias: Tensor
    activation: str = "none"
    form: str = ""

    @classmethod
    def pack(cls, linear: Linear, activation: str = "none", form: str = "") -> PackedLinear:
        """Lay out the weights; once, when the model is loaded."""
        return cls(torch.ops.mkldnn._reorder_linear_weight(linear.weight), linear.bias, activation, form)

    def __call__(self, x: Tensor) -> Tensor:
        """``[rows, in] -> [rows, out]``."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], self.form)
        return product


def product(linear: Linear) -> Product:
    """The fastest form of a product here."""
    return PackedLinear.pack(linear) if can_pack(linear.weight.dtype, linear.weight.device) else linear.__call__


def activated(linear: Linear, name: str) -> Product:
    """A product and the activation that transformers knows by ``name`` after it, in one call where that is possible.

    Raises:
        BundleError: the activation is unknown.
    """
    function = activation(name)
    if not can_pack(linear.weight.dtype, linear.weight.device):
        return lambda x: function(linear(x))
    if name in FUSED:
        return PackedLinear.pack(linear, *FUSED[name])
    packed = PackedLinear.pack(linear)
    return lambda x: function(packed(x))


def can_pack(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether oneDNN multiplies this type well on this device."""
    return device.type == "cpu" and _packs(dtype)


@cache
def _packs(dtype: torch.dtype) -> bool:
    # The operators are torch.compile's own and not promised to anybody: use them only where they work.
    if platform.machine() not in ("x86_64", "AMD64") or not torch._C._has_mkldnn:
        return False
    linear = Linear(torch.eye(16, dtype=dtype), torch.zeros(16, dtype=dtype))
    x = torch.ones(3, 16, dtype=dtype)
    try:
        return bool(torch.equal(PackedLinear.pack(linear)(x), x))
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


def linear(weights: Mapping[str, Tensor], name: str) -> Linear:
    """The linear map of that name."""
    return Linear(weights[f"{name}.weight"], weights[f"{name}.bias"])


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The activation that transformers knows by this name.

    Raises:
        BundleError: it knows none.
        MissingExtra: it is a rare one, and transformers is not installed.
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    # The rare ones only: importing transformers takes seconds, and it is an optional package.
    known = require("transformers.activations", "train").ACT2FN
    if name not in known:
        raise BundleError(f"config.json: hidden_act {name!r} is unknown; known are {', '.join(sorted(known))}")
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

# What oneDNN can do on the way out of a product, in its words.
FUSED = {
    "gelu": ("gelu", "none"),
    "gelu_new": ("gelu", "tanh"),
    "gelu_pytorch_tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
    "tanh": ("tanh", ""),
}
