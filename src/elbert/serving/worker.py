"""The worker: one thread that owns the engines, steps them while there is work, and sleeps otherwise."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from elbert.engine import Call, Capacity, Engine, Failure, Left, NoNumber, Request, Urgency
from elbert.engine.offline import submit
from elbert.errors import ElbertError
from elbert.exits import Depth
from elbert.model import Backend
from elbert.model.cpu import threads as limited
from elbert.serving.errors import BackendFailure, NotReady
from elbert.tokenization import Tokens

IDLE = Capacity(8, 512)  # small calls: a request that comes waits for one of them at most


@dataclass(frozen=True)
class Step:
    """What a step did: who left, its layer call, when it began and ended, who still waits to start.

    ``idle``: it was for what can wait.
    """

    left: Left
    began: float
    ended: float
    call: Call | None = None
    waiting: int = 0
    idle: bool = False

    @property
    def is_news(self) -> bool:
        """Whether somebody started or left; most steps of few texts are none, and to tell costs more than some take."""
        return bool(self.left.exits or self.left.failures or (self.call is not None and self.call.started))


class Engines:
    """Both engines over one backend; ``harmless`` is a text on which they are tried."""

    def __init__(self, backend: Backend, capacity: Capacity, harmless: Tokens, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._capacity = capacity
        self._harmless = harmless
        self._clock = clock
        self._requests = Engine(backend, capacity, queue=Urgency(), clock=clock)
        self._idle = Engine(backend, IDLE, clock=clock)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._requests) + len(self._idle)

    def submit(self, requests: Sequence[Request], *, idle: bool) -> Iterator[Left]:
        """Take requests in; those that the engine does not take leave at once."""
        return submit(self._idle if idle else self._requests, requests)

    def cancel(self, identity: int) -> None:
        """Nobody wants this answer any more."""
        self._requests.cancel(identity)
        self._idle.cancel(identity)

    def step(self) -> Step:
        """One layer call, for what can wait only where no request is here."""
        idle = not len(self._requests)
        engine = self._idle if idle else self._requests
        began = self._clock()
        left = engine.step()
        return Step(left, began, self._clock(), engine.latest, self._requests.waiting, idle)

    def probe(self) -> None:
        """Try a text that is known to be harmless, one layer deep.

        Raises:
            Exception: what the backend raised; NaN is an answer here: the backend works, its weights may not.
        """
        engine = Engine(self._backend, self._capacity, lanes=1)
        engine.submit(Request(0, self._harmless, Depth(1)))
        for failure in engine.step().failures:
            if not isinstance(failure.error, NoNumber):
                raise failure.error


log = logging.getLogger(__name__)

Order = Callable[[Engines], Iterable[Left]]


class Worker:
    """Takes orders from any thread; every request that it takes is told of once, unless it is cancelled.

    ``build`` makes the engines; ``tell`` hears of every step, on the worker's thread. When the engines raise, whoever
    is with them fails, and they are built anew; after ``most_failures`` attempts in a row that fail, it gives up.
    A step that takes more than ``step_limit`` seconds is one that hangs.
    """

    def __init__(
        self,
        build: Callable[[], Engines],
        tell: Callable[[Step], None],
        *,
        threads: int | None = None,
        most_failures: int = 3,
        pause: float = 0.5,
        step_limit: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._build = build
        self._tell = tell
        self._threads = threads
        self._most_failures = most_failures
        self._pause = pause
        self._step_limit = step_limit
        self._clock = clock
        self._changed = threading.Condition()
        self._orders: deque[Order] = deque()
        self._held: set[int] = set()  # requests that were taken and not yet told of
        self._engines: Engines | None = None
        self._stepping: float | None = None  # since when
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.gave_up = False

    @property
    def healthy(self) -> bool:
        """Whether it can go on: not so when rebuilding failed, a step hangs or the thread is dead."""
        since = self._stepping
        hangs = since is not None and self._clock() - since > self._step_limit
        dead = self._thread is not None and not self._thread.is_alive() and not self._stopped
        return not (self.gave_up or hangs or dead)

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self._engines is not None and not self._stopped and self.healthy

    def start(self) -> None:
        """Start the thread; :attr:`ready` turns true when the engines have been built and tried."""
        self._thread = threading.Thread(target=self._run, name="elbert-engine", daemon=True)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End after the step under way; whoever is still here hears that the server is stopping."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def submit(self, requests: Sequence[Request], *, idle: bool = False) -> None:
        """Take requests in, all or none; ``idle`` ones are served when nobody else is here.

        Raises:
            NotReady: the engines are being built, or it is stopping.
        """
        with self._changed:
            if not self.ready:
                raise NotReady("the engine is starting again" if self.healthy else "the engine has failed")
            self._held.update(request.identity for request in requests)
            self._orders.append(lambda engines: engines.submit(requests, idle=idle))
            self._changed.notify()

    def cancel(self, identities: Iterable[int]) -> None:
        """Nobody wants these answers any more: their places are free at the next step."""
        gone = list(identities)

        def order(engines: Engines) -> Iterable[Left]:
            for identity in gone:
                engines.cancel(identity)
            return ()

        with self._changed:
            self._held.difference_update(gone)
            self._orders.append(order)
            self._changed.notify()

    def turn(self, *, wait: bool = False) -> None:
        """Do what was ordered, and one step if there is work; with ``wait``, sleep until there is either."""
        try:
            if wait:
                self._sleep()
            if self._stopped:
                return
            engines = self._engines
            if engines is None:
                engines = self._engines = self._built()
            while self._orders:
                for refused in self._orders.popleft()(engines):
                    self._report(Step(refused, self._clock(), self._clock()))
            if len(engines):
                self._step(engines)
        except BaseException as error:  # a thread can be ended by more than an Exception, and callers wait for it
            self._recover(error)

    def _run(self) -> None:
        with limited(self._threads):
            while not self._stopped:
                self.turn(wait=True)
        self._fail_all(NotReady("the server is stopping"))

    def _sleep(self) -> None:
        def something_to_do() -> bool:
            # Engines without rows are as false as none at all, and the thread would never sleep.
            return bool(self._stopped or self._orders or self._engines is None or len(self._engines))

        with self._changed:
            self._changed.wait_for(something_to_do)

    def _step(self, engines: Engines) -> None:
        self._stepping = self._clock()
        step = engines.step()
        self._stepping = None
        self._report(step)
        if any(not isinstance(failure.error, ElbertError) for failure in step.left.failures):
            engines.probe()  # was it the text, or the machine?

    def _report(self, step: Step) -> None:
        self._tell(step)
        with self._changed:
            self._held.difference_update(step.left.identities)

    def _recover(self, error: BaseException) -> None:
        log.error("the engine failed and is built anew", exc_info=error)
        self._engines = self._stepping = None
        self._fail_all(BackendFailure(f"the engine failed ({type(error).__name__}) and is starting again"))

    def _fail_all(self, error: ElbertError) -> None:
        with self._changed:
            held, self._held = self._held, set()
            self._orders.clear()
        try:
            now = self._clock()
            self._tell(Step(Left(failures=tuple(Failure(identity, error) for identity in sorted(held))), now, now))
        except Exception as deaf:
            log.error("nobody could be told that %d requests failed", len(held), exc_info=deaf)

    def _built(self) -> Engines:
        for attempt in range(1, self._most_failures + 1):
            try:
                engines = self._build()
                engines.probe()
                return engines
            except Exception as error:
                log.error("building the engine failed (%d of %d)", attempt, self._most_failures, exc_info=error)
                if attempt < self._most_failures:
                    time.sleep(self._pause)
        self.gave_up = self._stopped = True
        raise BackendFailure(f"the engine could not be built in {self._most_failures} attempts")
