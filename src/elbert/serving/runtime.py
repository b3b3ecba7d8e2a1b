"""The runtime: where the service takes threads, locks, sleep and chance from, so that a simulation can replace them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from random import Random


class Runtime:
    """Those of the operating system. A subclass runs the same code under another scheduler."""

    def start_thread(self, run: Callable[[], None], name: str) -> threading.Thread:
        """Start a thread that does not keep the process alive."""
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def create_executor(self, workers: int, name: str) -> Executor:
        """Create a pool of at most ``workers`` threads."""
        return ThreadPoolExecutor(workers, name)

    def create_condition(self) -> threading.Condition:
        """Create a condition variable with its lock."""
        return threading.Condition()

    def create_random(self) -> Random:
        """Create a generator of random numbers."""
        return Random()

    def sleep(self, seconds: float) -> None:
        """Stop the calling thread for this long."""
        time.sleep(seconds)
