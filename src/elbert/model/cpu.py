"""The processor: its instruction sets and the number of threads that torch uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch


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


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Set torch's number of threads to ``count`` inside the block and restore it after; None changes nothing."""
    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
