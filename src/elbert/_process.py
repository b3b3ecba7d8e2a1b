"""Whether this process was forked: threads do not survive a fork, and waiting for one that is gone never ends."""

from __future__ import annotations

import os
import threading

IMPORTED_BY = os.getpid()  # the process that imported elbert; a forked child has another number


def is_forked() -> bool:
    """Whether this process was forked after elbert was imported."""
    return os.getpid() != IMPORTED_BY


def has_lost_threads() -> bool:
    """Whether the calling thread may count on worker threads that ended with a fork.

    OpenMP keeps a pool of threads for each thread that computes. Only the thread that forked goes on in the child, as
    its main thread, without its pool. Threads that the child starts have pools of their own.
    """
    return is_forked() and threading.current_thread() is threading.main_thread()
