"""Precisions: the number types in which the layer computes, and which of them are fast on this machine."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Literal

import torch

from elbert.errors import InputError
from elbert.model import native
from elbert.model.int8 import can_int8
from elbert.model.layer import can_pack

Precision = Literal["float32", "bfloat16", "int8"]

# Processors with bfloat16 instructions. Elsewhere bfloat16 is emulated and slower than float32.
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
# Processors with int8 dot-product instructions.
INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def hidden_dtype(precision: Precision, device: torch.device, variant: native.Variant | None = None) -> torch.dtype:
    """Return the type of hidden values at this precision, with native code of a variant or without.

    Raises:
        InputError: this device does not support the precision.
    """
    if variant is not None:
        return variant.hidden_dtype(precision)
    if precision != "int8":
        return torch.float32 if precision == "float32" else torch.bfloat16
    if device.type != "cpu" or not can_int8():
        raise InputError(
            "dtype int8 needs a processor, and elbert's native code (see elbert env) or torch with oneDNN; "
            "use bfloat16 or float32 here"
        )
    return torch.bfloat16 if is_fast("bfloat16", device) else torch.float32


def is_fast(precision: Precision, device: torch.device) -> bool:
    """Whether this precision is faster on ``device`` than precisions with more bits."""
    if device.type == "cuda":
        return precision == "float32" or (precision == "bfloat16" and torch.cuda.is_bf16_supported())
    if precision == "bfloat16":
        return has_halves() or (bool(BFLOAT16_FLAGS & processor_flags()) and can_pack(torch.bfloat16, device))
    if precision == "int8":
        return isinstance(native.load(), native.Variant) or (bool(INT8_FLAGS & processor_flags()) and can_int8())
    return True


def has_halves() -> bool:
    """Whether native code multiplies bfloat16 numbers in one instruction on this processor."""
    variant = native.load()
    return isinstance(variant, native.Variant) and variant.halves


def fastest_precision(checked: Collection[str], device: str) -> Precision:
    """Return the fastest precision for ``device``: float32 or one of ``checked``, whose accuracy was measured."""
    order: tuple[Precision, ...] = ("int8", "bfloat16")
    usable = [precision for precision in order if precision in checked]
    return next((p for p in usable if is_fast(p, torch.device(device))), "float32")


@cache
def processor_flags() -> frozenset[str]:
    """Return the processor's instruction sets by their Linux names; empty where ``/proc/cpuinfo`` cannot be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    # The line is named "flags" on x86 and "Features" on Arm.
    flags = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    return frozenset(flags.split())
