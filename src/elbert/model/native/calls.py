"""Calls of native code: their scratch memory, their errors, and the checks of what goes to them.

Sizes, types, devices and memory layouts are checked before an address goes to C.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import torch
from torch import Tensor

from elbert.model.native.bindings import LONG

ERRORS = {  # the library's return codes
    1: (MemoryError, "no memory to compute in"),
    2: (ValueError, "bounds must rise from 0 to the number of tokens, and depths be below the last"),
    3: (ValueError, "a token or a segment has no embedding"),
}
NO_MEMORY = 1


class Scratch(threading.local):
    """Memory of each thread, kept between calls: fresh memory would cost a page fault for every 4 kB."""

    def __init__(self) -> None:
        self.needed = LONG(0)
        self.reserve(1 << 20)

    def reserve(self, size: int) -> None:
        """Keep so many bytes."""
        self._memory = torch.empty(size, dtype=torch.uint8, device="cpu")
        self.place = self._memory.data_ptr(), size, ctypes.byref(self.needed)

    def run(self, call: Any, *arguments: Any) -> None:
        """Make a call, once more if the memory was too small.

        Raises:
            ValueError: the library refuses an argument.
            MemoryError: there is no memory to compute in.
        """
        threads = torch.get_num_threads()
        code = call(*arguments, threads, *self.place)
        if code == NO_MEMORY and self.needed.value > self.place[1]:
            self.reserve(self.needed.value)
            code = call(*arguments, threads, *self.place)
        if code:
            error, message = ERRORS[code]
            raise error(message)


SCRATCH = Scratch()


def check_rows(hidden: Tensor, dtype: torch.dtype, width: int, bounds: Tensor, tokens: int) -> int:
    """Check packed rows, and return their size with filler.

    Raises:
        ValueError: a type, size, memory layout or device is wrong.
    """
    size, rows = hidden.shape[0], bounds.numel() - 1
    check_tensor(hidden, dtype, size * width)
    check_tensor(bounds, torch.int64, rows + 1)
    if rows < 0 or not 0 <= tokens <= size:
        raise ValueError(f"expected bounds and at most {size} tokens, got {rows + 1} bounds and {tokens} tokens")
    return size


def check_tensor(tensor: Tensor, dtype: torch.dtype, size: int) -> None:
    """Check a tensor before its address goes to C, which would otherwise read or write outside the tensor.

    Raises:
        ValueError: type, size, memory layout or device is wrong.
    """
    if tensor.dtype is not dtype or tensor.numel() != size or not tensor.is_contiguous() or not tensor.is_cpu:
        raise ValueError(
            f"expected {size} contiguous {dtype} values on the CPU, "
            f"got {list(tensor.shape)} {tensor.dtype} with strides {tensor.stride()} on {tensor.device}"
        )
