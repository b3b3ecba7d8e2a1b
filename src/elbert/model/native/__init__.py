"""A step in C: embedding, layer, exit head and decision, for the instruction sets of x86 and Arm processors.

A wheel has the compiled library for its platform; from a source tree it is compiled when the package is installed.
``load()`` returns the fastest variant that this processor runs, or the reason why there is none; then the engine uses
torch. ``ELBERT_NATIVE`` in the environment names another variant (``avx2``, ``avx512``, …), or ``off``.
"""

from __future__ import annotations

from elbert.model.native.bindings import NoVariant, Numbers, Variant, list_variants, load
from elbert.model.native.live_rows import COMPARISONS, CONDITIONS, SIGNALS, STAY, Live, NativePolicy
from elbert.model.native.operators import NativeEmbedding, NativeHead, NativeLayer
from elbert.model.native.packing import ACTIVATIONS, NativeProduct
from elbert.model.native.refill_call import Places, Refill

__all__ = [
    "ACTIVATIONS",
    "COMPARISONS",
    "CONDITIONS",
    "SIGNALS",
    "STAY",
    "Live",
    "NativeEmbedding",
    "NativeHead",
    "NativeLayer",
    "NativePolicy",
    "NativeProduct",
    "NoVariant",
    "Numbers",
    "Places",
    "Refill",
    "Variant",
    "list_variants",
    "load",
]
