"""Bindings: the structures of the library's calls, its variants, and which of them this processor runs."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, Structure, c_char_p, c_double, c_float, c_int, c_void_p
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import torch

OFF = ("0", "off")
Numbers = Literal["float32", "bfloat16", "int8"]
"""The type of the weights."""
LONG = ctypes.c_int64


class ProductStruct(Structure):
    """``Product`` of variant.h."""

    _fields_ = [
        ("in", LONG),
        ("out", LONG),
        ("panels", c_void_p),
        ("brief", c_void_p),
        ("cut", c_void_p),
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


class EmbeddingStruct(Structure):
    """``Embedding`` of variant.h."""

    _fields_ = [
        *[(name, LONG) for name in ("inner", "width", "half", "words", "positions", "segments", "padding")],
        *[(name, c_void_p) for name in ("word_table", "position_table", "segment_table", "weight", "bias")],
        ("eps", c_float),
        ("map", ProductStruct),
    ]


class HeadStruct(Structure):
    """``Head`` of variant.h."""

    _fields_ = [
        *[(name, LONG) for name in ("width", "classes", "mean", "half", "mode")],
        ("pooler", ProductStruct),
        ("classifier", ProductStruct),
    ]


class PolicyStruct(Structure):
    """``Policy`` of variant.h."""

    _fields_ = [
        *[(name, LONG) for name in ("conditions", "rules", "reads")],
        *[(name, c_void_p) for name in ("numbers", "thresholds", "temperatures")],
    ]


class LiveStruct(Structure):
    """``Live`` of variant.h."""

    _fields_ = [
        *[(name, LONG) for name in ("depths", "classes", "task", "keep_trace")],
        ("scale", c_float),
        *[(name, c_void_p) for name in ("policies", "depth", "trace", "logits", "decision")],
        *[(name, LONG) for name in ("exits", "steps", "made")],
    ]


class RefillStruct(Structure):
    """``Refill`` of variant.h."""

    _fields_ = [
        *[(name, LONG) for name in ("rows", "items", "max_rows", "max_tokens")],
        ("refill", c_double),
        ("drain", LONG),
        ("seconds", c_double),
        *[(name, LONG) for name in ("depths", "classes", "task", "keep_trace")],
        ("scale", c_float),
        *[(name, c_void_p) for name in ("policies", "lengths", "from_depth", "ids", "types", "hidden")],
        *[(name, c_void_p) for name in ("depth", "decision", "trace", "logits", "remaining", "out")],
        ("count", LONG),
        ("started", LONG),
    ]


LAST_ARGUMENTS = (c_void_p, LONG, LONG, LONG, c_int, c_void_p, LONG, POINTER(LONG))
"""Bounds, rows, tokens, size, threads, scratch memory and its size, and the size that is needed."""
STEP_CALL = ctypes.CFUNCTYPE(
    c_int,
    *(POINTER(LayerStruct), POINTER(HeadStruct), POINTER(LiveStruct), c_void_p, c_void_p, c_void_p, *LAST_ARGUMENTS),
)
EMBED_CALL = ctypes.CFUNCTYPE(c_int, POINTER(EmbeddingStruct), c_void_p, c_void_p, c_void_p, *LAST_ARGUMENTS)


class VariantStruct(Structure):
    """``Variant`` of variant.h."""

    _fields_ = [("step", STEP_CALL), ("embed", EMBED_CALL), ("zero", c_int), ("halves", c_int), ("splits", c_int)]


# In the order of variant.h. Their sizes are compared with the library's: one that was compiled from other sources, as
# after an update of an editable installation, would read wrong memory.
STRUCTS = (
    *(ProductStruct, LayerStruct, EmbeddingStruct, HeadStruct),
    *(PolicyStruct, LiveStruct, VariantStruct, RefillStruct),
)
REFILL_ARGUMENTS = (
    *(POINTER(VariantStruct), POINTER(EmbeddingStruct), POINTER(LayerStruct), POINTER(HeadStruct)),
    *(POINTER(RefillStruct), c_int, c_void_p, LONG, POINTER(LONG)),
)


@dataclass(frozen=True)
class NoVariant:
    """There is no native code for this machine; ``reason`` is why, in one line."""

    reason: str


@dataclass(frozen=True)
class Variant:
    """The library compiled for one instruction set.

    zero:   added to the codes of activations, because some processors multiply unsigned codes only
    halves: whether the processor multiplies pairs of bfloat16 numbers, so that hidden values can have that type
    splits: whether float32 products can be sums of bfloat16 products
    """

    name: str
    zero: int
    halves: bool
    run_step: Any
    run_embed: Any
    run_refill: Any = None  # where there are calls of many rows
    splits: bool = False

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
        fits = all(library.elbert_size(i) == ctypes.sizeof(struct) for i, struct in enumerate(STRUCTS))
    except (OSError, AttributeError) as error:
        return NoVariant(f"the compiled library cannot be loaded: {error!s:.300}")
    if not fits:
        return NoVariant("the compiled library is of another version: install elbert again")
    library.elbert_refill.argtypes = REFILL_ARGUMENTS
    found, index = [], 0
    while name := library.elbert_variant_name(index):
        if library.elbert_variant_runs(index):
            place = library.elbert_variant(index)
            struct, refill = place.contents, partial(library.elbert_refill, place)
            calls = struct.step, struct.embed, refill
            found.append(Variant(name.decode(), struct.zero, bool(struct.halves), *calls, bool(struct.splits)))
        index += 1
    return tuple(found)
