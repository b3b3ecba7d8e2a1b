"""The processor: its instruction sets and the number of threads that torch uses."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from elbert._process import has_lost_threads


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
    """Compute with ``count`` threads inside the block; None changes nothing. Other threads keep their numbers.

    A thread whose worker threads ended with a fork computes alone: with more threads it would wait for them for ever.
    """
    if has_lost_threads():
        count = 1
    if count is None:
        yield
        return
    setters, before = _thread_setters(), torch.get_num_threads()
    setters.openmp(count)
    before_mkl = setters.mkl(count)
    try:
        yield
    finally:
        setters.mkl(before_mkl)
        setters.openmp(before)


class ThreadSetters(NamedTuple):
    """Functions that set the calling thread's own number of threads; MKL's returns the number before, 0 for none."""

    openmp: Callable[[int], None]
    mkl: Callable[[int], int]


@cache
def _thread_setters() -> ThreadSetters:
    """Find the functions in the libraries of torch.

    ``torch.set_num_threads`` also sets the number with which threads that start later begin: a thread that another
    part of the program starts during a call of ours would keep our number. So it is used only where torch has no
    OpenMP, or hides it.
    """
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        openmp = library.omp_set_num_threads
    except (OSError, AttributeError):
        return ThreadSetters(torch.set_num_threads, lambda _: 0)
    openmp.argtypes, openmp.restype = (ctypes.c_int,), None
    mkl = getattr(library, "MKL_Set_Num_Threads_Local", None)
    if mkl is None:  # torch was built without MKL
        return ThreadSetters(openmp, lambda _: 0)
    mkl.argtypes, mkl.restype = (ctypes.c_int,), ctypes.c_int
    return ThreadSetters(openmp, mkl)
