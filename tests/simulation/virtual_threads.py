"""Threads under a simulated scheduler: one runs at a time, a seed decides which, and time passes only while all wait.

The threads are real, so that thread-local state is their own, but each waits for its turn. A thread gives up its turn
where it waits, and, by chance, wherever it takes a lock, reads the clock or meets a line that is watched.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from random import Random

from elbert.serving.runtime import Runtime

THREAD_SECONDS = 120  # of real time in which some turn must end; only a fault of the simulation itself takes longer


class Unwind(BaseException):
    """Ends a thread that is still there when its simulation is over."""


class VirtualThread:
    """A thread that runs in turns; with the part of :class:`threading.Thread` that the service uses."""

    def __init__(self, scheduler: Scheduler, name: str, run: Callable[[], None] | None) -> None:
        self.name = name
        # Threads that rarely get a turn meet the others in states that equal threads would hardly ever see.
        self.weight = scheduler.random.choice((1.0, 1.0, 0.1, 0.01))
        self.error: BaseException | None = None
        self._scheduler = scheduler
        self._run = run
        self._turn = threading.Lock()  # held except at the beginning of a turn; a semaphore takes many times as long
        self._turn.acquire()
        self._is_finished = False
        self.is_ready: Callable[[], bool] = lambda: True
        self.until: float | None = None

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        self._scheduler.pause()
        return not self._is_finished

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._scheduler.wait(lambda: self._is_finished, timeout)

    def can_run(self) -> bool:
        """Whether it has something to do now."""
        return self.is_ready() or (self.until is not None and self.until <= self._scheduler.now)

    def start(self) -> None:
        """Start the real thread, which waits for its first turn."""
        threading.Thread(target=self._start, name=self.name, daemon=True).start()

    def hand_over(self) -> None:
        """Begin its turn."""
        self._scheduler.turns += 1
        self._turn.release()

    def await_turn(self) -> None:
        """Wait for the next turn, as long as others have turns: on a busy machine that can be minutes."""
        seen = None
        while not self._turn.acquire(timeout=THREAD_SECONDS):
            if seen == self._scheduler.turns:
                raise RuntimeError(f"{self.name} got no turn: another thread waits outside the simulation")
            seen = self._scheduler.turns

    def _start(self) -> None:
        self.await_turn()
        try:
            with self._scheduler.watch_lines():
                self._run()
        except Unwind:
            pass
        except BaseException as error:
            self.error = error
        self._is_finished = True
        self._scheduler.remove(self)


class Scheduler:
    """Decides which thread runs, and holds the simulated time.

    ``eagerness`` is the probability that another thread runs at a point where it may, ``stalls`` the probability that
    the operating system stops a thread there for ``stall_seconds`` on average, ``tick`` the seconds that pass with each
    reading of the clock, ``watched`` the files at whose lines another thread may run.
    """

    def __init__(
        self,
        seed: object,
        *,
        eagerness: float = 0.2,
        stalls: float = 0.0,
        stall_seconds: float = 0.01,
        tick: float = 0.0,
        watched: frozenset[str] = frozenset(),
    ) -> None:
        self.random = Random(f"scheduler {seed}")
        self.now = 1000.0
        self.switches = self.turns = 0
        self.eagerness = eagerness
        self.stalled: list[tuple[float, float]] = []  # begin and end of the times in which a thread was stopped
        self._stalls = stalls
        self._stall_seconds = stall_seconds
        self._tick = tick
        self._watched = watched
        self._is_over = False
        self.current = VirtualThread(self, "main", None)
        self.threads = [self.current]
        self.ended: list[VirtualThread] = []

    def clock(self) -> float:
        """The time in seconds; another thread may run first."""
        self.pause()
        self.now += self._tick
        return self.now

    def pause(self) -> None:
        """Perhaps let another thread run."""
        self._check_end()
        if len(self.threads) == 1:
            return
        chance = self.random.random()
        if chance < self._stalls:
            began = self.now
            self.wait(lambda: False, self.random.expovariate(1) * self._stall_seconds)
            self.stalled.append((began, self.now))
        elif chance < self.eagerness:
            self._switch()

    def wait(self, is_ready: Callable[[], bool], seconds: float | None = None) -> bool:
        """Stop the current thread until ``is_ready()``, at most for ``seconds``; return whether it is ready."""
        self._check_end()
        if self._is_over:
            return is_ready()
        me = self.current
        me.is_ready, me.until = is_ready, None if seconds is None else self.now + max(seconds, 0.0)
        self._switch()
        me.is_ready, me.until = (lambda: True), None
        return is_ready()

    def start(self, run: Callable[[], None], name: str) -> VirtualThread:
        """Start a thread."""
        thread = VirtualThread(self, name, run)
        self.threads.append(thread)
        thread.start()
        self.pause()
        return thread

    def remove(self, thread: VirtualThread) -> None:
        """Remove a thread that has ended, and let another run."""
        self.threads.remove(thread)
        self.ended.append(thread)
        self.current = self.threads[0] if self._is_over else self._choose()
        self.current.hand_over()

    def end(self) -> list[str]:
        """End the threads that are still there; return their names. Called on the main thread."""
        self._is_over, remaining = True, [thread.name for thread in self.threads[1:]]
        while len(self.threads) > 1:
            self.current = self.threads[1]
            self.current.hand_over()
            self.threads[0].await_turn()
        return remaining

    @contextmanager
    def watch_lines(self):
        """Let another thread run, by chance, before the lines of the watched files."""
        if not self._watched:
            yield
            return

        def on_line(frame, event, argument):
            if event == "line" and not self._is_over:
                self.pause()
            return on_line

        def on_call(frame, event, argument):
            return on_line if frame.f_code.co_filename in self._watched else None

        before = sys.gettrace()
        sys.settrace(on_call)
        try:
            yield
        finally:
            sys.settrace(before)

    def _switch(self) -> None:
        me, chosen = self.current, self._choose()
        if chosen is not me:
            self.switches += 1
            self.current = chosen
            chosen.hand_over()
            me.await_turn()
        self._check_end()

    def _check_end(self) -> None:
        """End the current thread if the simulation is over; the main thread, alone then, tidies up."""
        if self._is_over and self.current is not self.threads[0]:
            raise Unwind

    def _choose(self) -> VirtualThread:
        while not (ready := [thread for thread in self.threads if thread.can_run()]):
            times = [thread.until for thread in self.threads if thread.until is not None]
            if not times:
                raise RuntimeError("deadlock: every thread waits, and none for a time")
            self.now = min(times)
        return ready[0] if len(ready) == 1 else self.random.choices(ready, [thread.weight for thread in ready])[0]


class VirtualCondition:
    """A condition variable with its lock, which its owner may take again."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._owner: VirtualThread | None = None
        self._entered = 0
        self._waiting: list[list[bool]] = []  # one flag for each waiting thread: whether it was notified

    def __enter__(self) -> bool:
        self._scheduler.pause()
        self._acquire(1)
        return True

    def __exit__(self, *error: object) -> None:
        self._entered -= 1
        if not self._entered:
            self._owner = None
        if error[0] is None:
            self._scheduler.pause()

    def wait(self, timeout: float | None = None) -> bool:
        """Release the lock, wait for a notification, take the lock."""
        flag, entered = [False], self._entered
        self._waiting.append(flag)
        self._owner, self._entered = None, 0
        try:
            return self._scheduler.wait(lambda: flag[0], timeout)
        finally:
            self._waiting = [other for other in self._waiting if other is not flag]
            self._acquire(entered)

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until the predicate holds."""
        until = None if timeout is None else self._scheduler.now + timeout
        while not (result := predicate()):
            remaining = None if until is None else until - self._scheduler.now
            if remaining is not None and remaining <= 0:
                break
            self.wait(remaining)
        return result

    def notify(self, n: int = 1) -> None:
        """Wake waiting threads, the longest waiting first."""
        assert self._owner is self._scheduler.current, "notify without the lock"
        for flag in self._waiting[:n]:
            flag[0] = True
        del self._waiting[:n]

    def notify_all(self) -> None:
        """Wake all waiting threads."""
        self.notify(len(self._waiting))

    def _acquire(self, entered: int) -> None:
        me = self._scheduler.current
        while self._owner not in (None, me) and self._owner in self._scheduler.threads:
            self._scheduler.wait(lambda: self._owner is None)
        self._owner = me
        self._entered += entered


class VirtualExecutor(Executor):
    """A pool of threads, with the behaviour of ``ThreadPoolExecutor``."""

    def __init__(self, scheduler: Scheduler, workers: int, name: str) -> None:
        self._scheduler = scheduler
        self._workers = workers
        self._name = name
        self._work: deque[tuple[Future, Callable[[], object]]] = deque()
        self._started = 0
        self._idle = 0
        self._is_shut = False

    def submit(self, function, /, *arguments, **options) -> Future:
        """Run a function on one of the threads."""
        if self._is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future = Future()
        self._work.append((future, lambda: function(*arguments, **options)))
        if self._started < self._workers and len(self._work) > self._idle:
            self._started += 1
            self._scheduler.start(self._run, f"{self._name}_{self._started}")
        self._scheduler.pause()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more work."""
        self._is_shut = True
        while cancel_futures and self._work:
            self._work.popleft()[0].cancel()

    def _run(self) -> None:
        while True:
            self._idle += 1
            self._scheduler.wait(lambda: bool(self._work) or self._is_shut)
            self._idle -= 1
            if not self._work:
                return
            future, function = self._work.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            self._scheduler.pause()
            try:
                result = function()
            except Unwind:
                raise
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)


class VirtualRuntime(Runtime):
    """The service's threads, locks, sleep and chance, all from a scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def start_thread(self, run, name):
        return self._scheduler.start(run, name)

    def create_executor(self, workers, name):
        return VirtualExecutor(self._scheduler, workers, name)

    def create_condition(self):
        return VirtualCondition(self._scheduler)

    def create_random(self):
        return Random(self._scheduler.random.random())

    def sleep(self, seconds):
        self._scheduler.wait(lambda: False, seconds)
