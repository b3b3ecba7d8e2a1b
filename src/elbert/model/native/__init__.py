"""Operations between a layer's matrix products, in C for AVX-512 CPUs, compiled on the user's machine.

``load()`` returns the kernels or the reason why they are not available. Without them the engine uses the torch
implementation of the same operations. ``ELBERT_NATIVE=0`` in the environment disables the kernels.
"""

from __future__ import annotations

import os
from functools import cache

from elbert.model.native.bindings import Kernels, NoKernels, Quantised
from elbert.model.native.compiler import Unavailable, library

__all__ = ["Kernels", "NoKernels", "Quantised", "load"]


@cache
def load() -> Kernels | NoKernels:
    """Return the kernels, or the reason why there are none.

    The first call on a machine compiles them, which takes seconds; the result is cached per user and per process.
    """
    if os.environ.get("ELBERT_NATIVE") == "0":
        return NoKernels("switched off by ELBERT_NATIVE=0")
    try:
        return Kernels(library())
    except Unavailable as reason:
        return NoKernels(str(reason))
