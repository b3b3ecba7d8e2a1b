"""The worker: one thread that owns the engines, steps them while there is work, and sleeps otherwise."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from elbert.engine import (
    Capacity,
    DeadlineQueue,
    Engine,
    Failure,
    LayerCall,
    NonFiniteOutput,
    Request,
    StepResult,
)
from elbert.engine.engine import submit_all
from elbert.errors import ElbertError
from elbert.exits import fixed_depth
from elbert.model import Backend
from elbert.model.isolation import use_threads
from elbert.serving.errors import BackendFailure, NotReady
from elbert.serving.runtime import Runtime
from elbert.tokenization import Tokens

log = logging.getLogger(__name__)

IDLE_CAPACITY = Capacity(8, 512)  # small calls: a new request waits for one of them at most


@dataclass(frozen=True)
class Step:
    """One step of an engine: which rows ended, its layer call, its begin and end on the clock, the rows that wait.

    ``idle``: the step was for idle work, such as shadow traffic.
    """

    result: StepResult
    began: float
    ended: float
    call: LayerCall | None = None
    waiting: int = 0
    idle: bool = False

    @property
    def has_changes(self) -> bool:
        """Whether a row started or ended. Most steps of few texts change nothing, and waking the loop costs time."""
        return bool(self.result.exits or self.result.failures or (self.call is not None and self.call.started))


class Worker:
    """Accepts requests from any thread, and reports every one of them once, unless it is cancelled.

    ``build`` makes the engines; ``on_step`` gets every step, on the worker's thread. If the engines raise, the
    requests in them fail and the engines are built again; after ``most_failures`` failed attempts in a row, ``pause``
    seconds apart, the worker has failed for good. A step of more than ``step_limit`` seconds counts as stuck (see
    :class:`StepWatch`).
    """

    def __init__(
        self,
        build: Callable[[], Engines],
        on_step: Callable[[Step], None],
        *,
        threads: int | None = None,
        most_failures: int = 3,
        pause: float = 0.5,
        step_limit: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        runtime: Runtime | None = None,
    ) -> None:
        self._build = build
        self._on_step = on_step
        self._threads = threads
        self._most_failures = most_failures
        self._pause = pause
        self._watch = StepWatch(step_limit, clock)
        self._clock = clock
        self._runtime = runtime = Runtime() if runtime is None else runtime
        self._changed = runtime.create_condition()
        self._commands: deque[Command] = deque()
        self._unreported: set[int] = set()  # identities of the accepted requests without a result
        self._engines: Engines | None = None
        self._is_stopped = False
        self._thread: threading.Thread | None = None
        self.has_failed = False

    @property
    def is_healthy(self) -> bool:
        """Whether the worker can continue: not if rebuilding failed, a step is stuck or the thread died.

        A stuck step is recognised by repeated reading.
        """
        is_stuck = self._watch.is_stuck()
        is_dead = self._thread is not None and not self.is_running and not self._is_stopped
        return not (self.has_failed or is_stuck or is_dead)

    @property
    def is_running(self) -> bool:
        """Whether the thread exists and has not ended; from then on it refers to nothing."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_ready(self) -> bool:
        """Whether requests are accepted."""
        return self._engines is not None and not self._is_stopped and self.is_healthy

    def start(self) -> None:
        """Start the thread; :attr:`is_ready` becomes true when the engines have been built and tested."""
        self._thread = self._runtime.start_thread(self._run, "elbert-engine")

    def stop(self, timeout: float | None = None) -> None:
        """Stop after the current step; the requests that remain get an error. Wait ``timeout`` seconds at most."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def submit(self, requests: Sequence[Request], *, idle: bool = False) -> None:
        """Accept all of the requests or none; ``idle`` ones run only while there are no others.

        Raises:
            NotReady: the engines are being built, or the worker is stopping.
        """
        with self._changed:
            if not self.is_ready:
                restarting = "the engine is restarting; try again in a moment"
                raise NotReady(restarting if self.is_healthy else "the engine has failed; restart the server")
            self._unreported.update(request.identity for request in requests)
            self._commands.append(lambda engines: engines.submit(requests, idle=idle))
            self._changed.notify()

    def cancel(self, identities: Iterable[int]) -> None:
        """Drop requests without a result; their rows are free at the next step."""
        cancelled = list(identities)

        def command(engines: Engines) -> Iterable[StepResult]:
            for identity in cancelled:
                engines.cancel(identity)
            return ()

        with self._changed:
            self._unreported.difference_update(cancelled)
            self._commands.append(command)
            self._changed.notify()

    def run_once(self, *, wait: bool = False) -> None:
        """Run the waiting commands, and one step if there is work; with ``wait``, sleep until there is either."""
        try:
            if wait:
                self._sleep()
            if self._is_stopped:
                return
            engines = self._engines
            if engines is None:
                engines = self._engines = self._build_with_retries()
            while self._commands:
                for rejected in self._commands.popleft()(engines):
                    self._report(Step(rejected, self._clock(), self._clock()))
            if len(engines):
                self._step(engines)
        except BaseException as error:  # also what is no Exception: clients wait for this thread
            self._recover(error)

    def _run(self) -> None:
        with use_threads(self._threads):
            while not self._is_stopped:
                self.run_once(wait=True)
        self._fail_all(NotReady("the server is stopping"))

    def _sleep(self) -> None:
        def has_work() -> bool:
            # `is None` and len(): engines without rows are falsy, like None, and the thread would never sleep.
            return bool(self._is_stopped or self._commands or self._engines is None or len(self._engines))

        with self._changed:
            self._changed.wait_for(has_work)

    def _step(self, engines: Engines) -> None:
        self._watch.begin()
        step = engines.step()
        self._watch.end()
        self._report(step)
        if any(not isinstance(failure.error, ElbertError) for failure in step.result.failures):
            engines.probe()  # raises if the engine is broken, and not only this text

    def _report(self, step: Step) -> None:
        self._on_step(step)
        with self._changed:
            self._unreported.difference_update(step.result.identities)

    def _recover(self, error: BaseException) -> None:
        log.error("the engine failed and is restarted", exc_info=error)
        self._engines = None
        self._watch.end()
        self._fail_all(BackendFailure(f"the engine failed ({type(error).__name__}) and is restarting"))

    def _fail_all(self, error: ElbertError) -> None:
        with self._changed:
            failed, self._unreported = self._unreported, set()
            self._commands.clear()
        failures = tuple(Failure(identity, error) for identity in sorted(failed))
        try:
            now = self._clock()
            self._on_step(Step(StepResult(failures=failures), now, now))
        except Exception as failure:
            log.error("the failure of %d requests could not be reported", len(failed), exc_info=failure)

    def _build_with_retries(self) -> Engines:
        for attempt in range(1, self._most_failures + 1):
            try:
                engines = self._build()
                engines.probe()
                return engines
            except Exception as error:
                log.error("building the engine failed (%d of %d)", attempt, self._most_failures, exc_info=error)
                if attempt < self._most_failures:
                    self._runtime.sleep(self._pause)
        self.has_failed = self._is_stopped = True
        raise BackendFailure(f"the engine could not be built in {self._most_failures} attempts")


MAX_GAP = 1.0  # seconds that count between two looks at a step


class StepWatch:
    """Whether a step takes longer than ``limit`` seconds in which the process ran.

    A process that is stopped, or whose machine is frozen, finds all its clocks advanced when it continues, and its step
    is sound. So time counts only between looks, of which the event loop makes many each second, and a gap between two
    counts as at most a second.
    """

    def __init__(self, limit: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._max_gap = min(MAX_GAP, limit / 2)  # no single look finds a step stuck, nor two
        self._clock = clock
        self._step: object | None = None  # the step in progress
        self._watched: object | None = None  # the step of the latest look
        self._looked = clock()
        self._seconds = 0.0  # of the watched step

    def begin(self) -> None:
        """A step begins; called on the worker's thread."""
        self._step = object()

    def end(self) -> None:
        """The step has ended; called on the worker's thread."""
        self._step = None

    def is_stuck(self) -> bool:
        """Look at the step in progress; called on the event loop's thread."""
        step, now = self._step, self._clock()
        if step is None or step is not self._watched:
            self._watched, self._seconds = step, 0.0
        else:
            self._seconds += min(now - self._looked, self._max_gap)
        self._looked = now
        return self._seconds > self._limit


LARGE_SHARE = 1 / 8  # of the tokens in a layer call; a request with more is large
LARGE_CALL = 1 / 4  # of the tokens in a layer call that a call of large requests has: a small one waits for one
CALL_COST = 1 / 16  # of the tokens in a layer call, which a call costs beside its own


class Engines:
    """Three engines over one backend: for small requests, large requests, and idle work.

    A layer call takes as long as its tokens, and a row waits for all of them at each depth. So small requests do not
    share calls with large ones: while both are present, the two engines take turns and each gets half of the tokens.
    A small request then waits for one call of the large ones instead of one at each depth, and these calls are shorter:
    from some hundred tokens on, smaller calls cost no more for each token. An engine whose deadlines
    would pass during the other's call goes first, unless it is far ahead.

    ``probe`` is a text that tests the backend.
    """

    def __init__(self, backend: Backend, capacity: Capacity, probe: Tokens, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._capacity = capacity
        self._probe = probe
        self._clock = clock
        self._small = Engine(backend, capacity, queue=DeadlineQueue(), clock=clock)
        large = Capacity(capacity.rows, max(1, int(LARGE_CALL * capacity.tokens)))
        self._large = Engine(backend, large, queue=DeadlineQueue(), clock=clock)
        self._idle = Engine(backend, IDLE_CAPACITY, clock=clock)
        self._lead = 0.0  # tokens by which small requests are ahead of large ones, at most a call's either way

    @property
    def all(self) -> tuple[Engine, Engine, Engine]:
        """The engines for small requests, large requests and idle work."""
        return self._small, self._large, self._idle

    def __len__(self) -> int:
        """The number of rows in all of them."""
        return sum(map(len, self.all))

    def submit(self, requests: Sequence[Request], *, idle: bool) -> Iterator[StepResult]:
        """Submit the texts of one request; yield the failures of those that the engine rejects."""
        is_large = sum(len(request.tokens.ids) for request in requests) > LARGE_SHARE * self._capacity.tokens
        return submit_all(self._idle if idle else self._large if is_large else self._small, requests)

    def cancel(self, identity: int) -> None:
        """Drop a request, in whichever engine it is."""
        for engine in self.all:
            engine.cancel(identity)

    def step(self) -> Step:
        """Make one layer call: of idle work only if there are no requests."""
        for engine in self.all:  # also of those that do not step now
            engine.drop_cancelled()
        engine, began = self._choose_engine(), self._clock()
        result = engine.step()
        if engine is not self._idle:
            capacity = self._capacity.tokens
            cost = CALL_COST * capacity + (engine.last_call.tokens if engine.last_call else 0)
            self._lead += cost if engine is self._small else -cost
            self._lead = min(max(self._lead, -capacity), capacity)
        waiting = self._small.num_waiting + self._large.num_waiting
        return Step(result, began, self._clock(), engine.last_call, waiting, engine is self._idle)

    def _choose_engine(self) -> Engine:
        first, second = (self._small, self._large) if self._lead <= 0 else (self._large, self._small)
        if not len(first):
            return second if len(second) else self._idle
        is_far_ahead = abs(self._lead) >= self._capacity.tokens
        if (
            not is_far_ahead
            and second.has_deadline_within(first.expected_seconds)
            and not first.has_deadline_within(second.expected_seconds)
        ):
            return second
        return first

    def probe(self) -> None:
        """Compute one layer of the probe text in a new engine.

        Raises:
            Exception: whatever the backend raised. NaN is no failure here: the backend works, the weights may not.
        """
        engine = Engine(self._backend, self._capacity, lanes=1)
        engine.submit(Request(0, self._probe, fixed_depth(1)))
        for failure in engine.step().failures:
            if not isinstance(failure.error, NonFiniteOutput):
                raise failure.error


Command = Callable[[Engines], Iterable[StepResult]]
