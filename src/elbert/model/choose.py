"""Which kernels: the fastest that there are for a type on a device."""

from __future__ import annotations

import torch

from elbert.model import native
from elbert.model.cuda import VarlenKernels, varlen_attention
from elbert.model.kernels import Kernels, NativeKernels, TorchKernels


def kernels_for(dtype: torch.dtype, device: torch.device, *, head_width: int) -> Kernels:
    """The fastest that there are for hidden values of this type on this device."""
    if device.type == "cuda":
        attend = varlen_attention() if dtype == torch.bfloat16 and head_width % 8 == 0 else None
        return TorchKernels(dtype) if attend is None else VarlenKernels(attend)
    found = native.load()
    if isinstance(found, native.Kernels) and dtype in found.dtypes and (head_width % 2 == 0 or dtype == torch.float32):
        return NativeKernels(found)
    return TorchKernels(dtype)
