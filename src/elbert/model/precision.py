"""Precisions: in which numbers the layer computes, and which of them this machine does well."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import torch

from elbert.errors import InputError
from elbert.model.cpu import processor_flags
from elbert.model.int8 import can_int8
from elbert.model.layer import can_pack

Precision = Literal["float32", "bfloat16", "int8"]

# Where bfloat16 products are instructions of the processor, not an emulation slower than float32.
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def hidden_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of hidden values under a precision.

    Raises:
        InputError: the precision cannot be had on this device.
    """
    if precision != "int8":
        return torch.float32 if precision == "float32" else torch.bfloat16
    if device.type != "cpu" or not can_int8():
        raise InputError("dtype int8 needs an x86 processor and torch with oneDNN; use bfloat16 or float32 here")
    return torch.bfloat16 if is_fast("bfloat16", device) else torch.float32


def is_fast(precision: Precision, device: torch.device) -> bool:
    """Whether this precision is faster here than those of more bits."""
    if device.type == "cuda":
        return precision == "float32" or (precision == "bfloat16" and torch.cuda.is_bf16_supported())
    if precision == "bfloat16":
        return bool(BFLOAT16_FLAGS & processor_flags()) and can_pack(torch.bfloat16, device)
    if precision == "int8":
        return bool(INT8_FLAGS & processor_flags()) and can_int8()
    return True


def fastest_precision(checked: Collection[str], device: str) -> Precision:
    """The fastest precision that this machine does well, of float32 and those whose accuracy was ``checked``."""
    order: tuple[Precision, ...] = ("int8", "bfloat16")
    usable = [precision for precision in order if precision in checked]
    return next((p for p in usable if is_fast(p, torch.device(device))), "float32")
