"""Isolation: our computation gives the same results whatever the caller has set in torch, also after a fork.

Threads do not survive a fork, and waiting for one that is gone never ends.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, ExitStack, contextmanager
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import torch

from elbert._settings import check_whole
from elbert.errors import InputError

IMPORTED_BY = os.getpid()  # the process that imported elbert; a forked child has another number
AUTOCAST_DEVICES = ("cpu", "cuda")
MAX_THREADS = 1024  # OpenMP ends the process if it cannot start so many


class isolated(ContextDecorator):  # noqa: N801  # used like a function
    """Compute without gradients and without autocast inside the block, and alone where a fork ended the threads.

    Tensors have explicit devices and types, so torch's default device and default type need no change here. A class,
    because entering a generator costs more, and every layer call is isolated.
    """

    def _recreate_cm(self) -> isolated:
        return isolated()  # calls of a decorated function can overlap

    def __enter__(self) -> None:
        """Enter the block."""
        self._mode = torch.inference_mode()
        self._mode.__enter__()
        self._others = None
        if has_lost_threads() or any(map(torch.is_autocast_enabled, AUTOCAST_DEVICES)):
            self._others = ExitStack()
            for device in AUTOCAST_DEVICES:
                self._others.enter_context(torch.autocast(device, enabled=False))
            self._others.enter_context(use_threads(None))

    def __exit__(self, *error: Any) -> None:
        """Restore what was set before."""
        if self._others is not None:
            self._others.close()
        self._mode.__exit__(*error)


@contextmanager
def isolated_loading() -> Iterator[None]:
    """:func:`isolated`, for code that also calls libraries, whose tensors are on torch's default device."""
    with isolated(), torch.device("cpu"):
        yield


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


CGROUPS = Path("/sys/fs/cgroup")


def check_process(device: torch.device, process: int) -> None:
    """Check that a model on an accelerator is used in the process that loaded it, of this number.

    Raises:
        InputError: the process was forked since.
    """
    if device.type != "cpu" and os.getpid() != process:
        raise InputError(
            f"this classifier was loaded on {device} before the process was forked, and a device "
            "cannot be used after a fork: call Classifier.load in each process, or start processes with spawn"
        )


def check_threads(threads: int | None) -> int | None:
    """Return the number of threads if it is one.

    Raises:
        InputError: it is out of range.
    """
    return None if threads is None else check_whole("threads", threads, MAX_THREADS)


def limit_threads(root: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int | None:
    """The number of threads for which the CPU quota of a container suffices; None where torch uses no more anyway.

    torch counts the processors that this process may run on, but not what share of their time a container may use.
    Threads beyond that share use it up together, and then all of them stop until the next period.
    """
    quota = read_quota(root, membership)
    return None if quota is None or torch.get_num_threads() <= (count := max(1, math.ceil(quota))) else count


def read_quota(root: Path, membership: Path) -> float | None:
    """The smallest CPU quota of this process's control groups and those around them, in processors; None if none."""
    folders = {root, root / "cpu", root / "cpu,cpuacct"}  # where a container sees its own group
    for line in read_lines(membership):  # such as 0::/a/b, or in version 1 4:cpu,cpuacct:/a/b
        _, controllers, path = line.split(":", 2)
        group = PurePosixPath(path.lstrip("/"))
        folders |= {root / controllers / each for each in (group, *group.parents)}
    quotas = [quota for folder in folders if (quota := read_group_quota(folder)) is not None]
    return min(quotas, default=None)


def read_group_quota(folder: Path) -> float | None:
    """The quota of one control group, of version 2 or 1."""
    version_1 = [line for name in ("quota", "period") for line in read_lines(folder / f"cpu.cfs_{name}_us")]
    words = " ".join(read_lines(folder / "cpu.max") or version_1).split()
    try:
        most, period = map(float, words)
    except ValueError:  # "max", or no file
        return None
    return most / period if most > 0 and period > 0 else None


def read_lines(file: Path) -> list[str]:
    """The lines of a file of the kernel; none where it cannot be read."""
    try:
        return file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def is_forked() -> bool:
    """Whether this process was forked after elbert was imported."""
    return os.getpid() != IMPORTED_BY


def has_lost_threads() -> bool:
    """Whether the calling thread may count on worker threads that ended with a fork.

    OpenMP keeps a pool of threads for each thread that computes. Only the thread that forked goes on in the child, as
    its main thread, without its pool. Threads that the child starts have pools of their own.
    """
    return is_forked() and threading.current_thread() is threading.main_thread()
