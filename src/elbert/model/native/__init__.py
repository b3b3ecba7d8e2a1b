"""What stands between a layer's matrix products, in C for AVX-512 CPUs; compiled on the user's machine, or absent.

``load()`` says which. Absence is no fault: everything here has a plain twin in torch. ``ELBERT_NATIVE=0`` switches
it off.
"""

from __future__ import annotations

import os
from functools import cache

from elbert.model.native.bindings import Kernels, NoKernels, Quantised
from elbert.model.native.compiler import Unavailable, library

__all__ = ["Kernels", "NoKernels", "Quantised", "load"]


@cache
def load() -> Kernels | NoKernels:
    """The kernels, compiled at the first call on this machine (seconds), or the reason why there are none."""
    if os.environ.get("ELBERT_NATIVE") == "0":
        return NoKernels("switched off by ELBERT_NATIVE=0")
    try:
        return Kernels(library())
    except Unavailable as reason:
        return NoKernels(str(reason))
