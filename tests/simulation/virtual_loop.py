"""An asyncio event loop on simulated time: it never waits for a file or a socket, and a seed orders what is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from virtual_threads import Scheduler, VirtualExecutor


class VirtualLoop(asyncio.BaseEventLoop):
    """The event loop of the scheduler's main thread.

    Callbacks that are ready run in any order, and some only in the next iteration: what real loops do with callbacks
    of different clients depends on how their bytes arrive. The callbacks of one task are a chain, so their order stays.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._selector = self  # BaseEventLoop waits by calling select()
        self._clock_resolution = 1e-9
        self._is_woken = False
        self._threads = VirtualExecutor(scheduler, 4, "default")
        self.iterations = 0
        self.interruptions: dict[int | None, Callable[[], None]] = {}  # what happens before an iteration
        self.errors: list[str] = []  # of callbacks, and of tasks whose result was never read
        self.set_exception_handler(lambda _, context: self.errors.append(describe(context)))

    def time(self) -> float:
        """Simulated seconds."""
        return self._scheduler.now

    def run_in_executor(self, executor, func, *args):
        """Run a function on a simulated thread."""
        return asyncio.wrap_future(self._threads.submit(func, *args), loop=self)

    def call_soon_threadsafe(self, callback, *args, context=None):
        """Run a callback soon; another thread may run before and after."""
        self._scheduler.pause()
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        self._scheduler.pause()
        return handle

    def select(self, timeout: float | None) -> list[object]:
        """Wait for the next timer, or for a callback from another thread."""
        if timeout == 0:
            self._scheduler.pause()
        else:
            self._scheduler.wait(lambda: self._is_woken, timeout)
        self._is_woken = False
        return []

    def cancel_all(self) -> None:
        """Cancel all tasks, after an episode that failed."""
        while not self.is_closed() and (tasks := asyncio.all_tasks(self)):
            for task in tasks:
                task.cancel()
            self.run_until_complete(asyncio.wait(tasks))
            for task in tasks:
                task.cancelled() or task.exception()

    def close(self) -> None:
        """Close, and let the threads of :meth:`run_in_executor` end."""
        self._threads.shutdown()
        super().close()

    def _process_events(self, event_list) -> None:
        pass

    def _write_to_self(self) -> None:
        self._is_woken = True

    def _run_once(self) -> None:
        self.iterations += 1
        if self.iterations in self.interruptions:
            self.interruptions[self.iterations]()
        random, later = self._scheduler.random, []
        if len(self._ready) > 1:
            ready = list(self._ready)
            random.shuffle(ready)
            self._ready.clear()
            now = random.randint(1, len(ready))
            self._ready.extend(ready[:now])
            later = ready[now:]
        super()._run_once()
        self._ready.extend(later)


def describe(context: dict) -> str:
    """The message and the exception that asyncio reports, in one line."""
    return f"{context['message']}: {context.get('exception')!r}"
