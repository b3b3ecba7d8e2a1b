"""The engine: classifies requests that arrive at any time. Rows at different depths share every layer call.

The scheduler decides with numbers only; :class:`RowPools` holds the tensors of the same rows in the same order.
"""

from __future__ import annotations

import time
from bisect import insort
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence

import numpy as np

from elbert.engine.lists import RankedLists
from elbert.engine.requests import Failure, LayerCall, Request, Requests, StepResult, check_outputs, run_bisecting
from elbert.engine.scheduler import Capacity, Queue, Scheduler
from elbert.errors import InputError
from elbert.inference import (
    DEADLINE,
    PendingRows,
    Rows,
    admit,
    check_tokens,
    deepen,
    exit_here,
    find_room_ahead,
    group_by_weights,
    run_refilling,
    settle,
)
from elbert.model import Backend
from elbert.model.isolation import isolated
from elbert.model.native import Places

NOTHING = StepResult()
DEFAULT_DUE = 1.0  # seconds; a request without a deadline waits as if it had this one


class Engine:
    """Classifies requests that may arrive at any time: :meth:`submit` them, then call :meth:`step` until it is empty.

    ``keep_trace`` keeps the probabilities of every depth, for every request. ``lanes`` is the number of layer calls in
    progress at once: two on an accelerator, so that the host decides about one call while the device computes the
    other. ``refill`` is the share of places that must be free before new rows start (see :class:`Scheduler`).
    ``layers`` is the most layers that one step makes: the step ends when a row exits, so that its place is filled
    at once, but what arrives meanwhile waits for the end. Where native code can, such a step goes on: it fills free
    places itself, with rows that wait. Deadlines are seconds on ``clock``. ``last_call`` is the layer call of the last
    step, or None if it made none, or many.
    """

    def __init__(
        self,
        backend: Backend,
        capacity: Capacity,
        *,
        keep_trace: bool = False,
        queue: Queue | None = None,
        lanes: int | None = None,
        refill: float = 0.0,
        layers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        config = backend.config
        self._backend = backend
        self._keep_trace = keep_trace
        self._layers = layers
        self._lanes = (1 if backend.device.type == "cpu" else 2) if lanes is None else lanes
        weights_keys = [config.weights_key(depth) for depth in range(config.depths)]
        self._scheduler = Scheduler(capacity, weights_keys, queue=queue, lanes=self._lanes, refill=refill)
        self._requests: dict[int, Request] = {}
        self._pools = RowPools()
        self._calls: deque[tuple[float, list[PendingRows]]] = deque()  # (start time, rows) in progress, oldest first
        self._deadlines = Deadlines(capacity, clock)
        self._cancelled: set[int] = set()
        self._lists: RankedLists | None = None  # until a row belongs to one
        self._places = Places(capacity.rows, capacity.tokens, refill)
        self._room_ahead = find_room_ahead(backend, self._places) if layers > 1 and self._lanes == 1 else None
        self.last_call: LayerCall | None = None

    def __len__(self) -> int:
        """Number of requests that are waiting or live."""
        return len(self._requests)

    @property
    def num_waiting(self) -> int:
        """Number of requests that have not started."""
        return self._scheduler.num_waiting

    @property
    def expected_seconds(self) -> float:
        """Seconds that a layer call probably takes; 0 before the first."""
        return self._deadlines.expected

    def has_deadline_within(self, seconds: float) -> bool:
        """Whether a request would miss its deadline in a layer call that begins in this time."""
        return bool(self._deadlines.find_overdue(seconds))

    def submit(self, request: Request) -> None:
        """Add a request; a later :meth:`step` returns its result.

        Raises:
            InputError: the model has no embedding for a token, or a request of that identity is in progress.
        """
        check_tokens(request.tokens, self._backend.config)
        if request.identity in self._requests:
            raise InputError(f"request {request.identity} is already in progress; use a different identity")
        self._requests[request.identity] = request
        self._deadlines.add(request)
        if request.ranked_in is not None:
            self._lists = self._lists or RankedLists(self._backend.config.scale)
            self._lists.add(request)
        due = self._deadlines.clock() + DEFAULT_DUE if request.deadline is None else request.deadline
        flow = request.flow if request.deadline is None else None  # what has a deadline goes by it
        self._scheduler.add(request.identity, len(request.tokens.ids), due, flow)

    def cancel(self, identity: int) -> None:
        """Drop a request: the next :meth:`step` frees its place, and no result is returned for it.

        An unknown identity is ignored, because a cancellation can arrive after the result.
        """
        if identity in self._requests:
            self._cancelled.add(identity)

    @isolated()
    def step(self) -> StepResult:
        """Make one layer call: start new rows, deepen a batch, and return the rows that exit or fail."""
        self.drop_cancelled()
        if (
            self._room_ahead
            and not (self._deadlines or self._lists)
            and (refilled := self._run_refilling(self._room_ahead)) is not None
        ):
            return self._complete(refilled)
        started, failures = self._admit()
        failures += self._start_call(started)
        if self._lists and failures:
            self._lists.exclude(failure.identity for failure in failures)
        result = StepResult((), tuple(failures)) if failures else NOTHING
        if len(self._calls) == self._lanes or not self._scheduler.can_call:
            result += self._finish_call()
        if overdue := self._deadlines.find_overdue():
            late = self._exit_early(overdue, DEADLINE)
            self._record_in_lists(late)
            result += late
        if self._lists:
            result += self._exit_outranked(self._lists)
        return self._complete(result)

    def _complete(self, result: StepResult) -> StepResult:
        if not (completed := result.identities):
            return NOTHING
        self._forget(completed)
        # Rows that were cancelled during their last call exit like all others, but are not returned.
        discarded = self._cancelled.intersection(completed)
        self._cancelled -= discarded
        return result.without(discarded)

    def drop_cancelled(self) -> None:
        """Free the places of cancelled rows, as each step does; those in a running call are freed when it returns."""
        if not self._cancelled:
            return
        running = {int(i) for _, call in self._calls for pending in call for i in pending.rows.identity}
        removable = self._cancelled - running
        self._pools.remove(removable, min_depth=0)
        self._scheduler.withdraw(removable)
        if self._lists:
            self._lists.exclude(removable)
        self._forget(removable)
        self._cancelled -= removable

    def _run_refilling(self, room: tuple[int, int]) -> StepResult | None:
        """Make a call that fills free places itself, with as many waiting rows and tokens as there is ``room`` for.

        None, and nothing is changed, where rows need single steps.
        """
        call, started = self._scheduler.next_call(), self._scheduler.start_ahead(*room)
        rows = self._pools.take(call[0], len(call[1])) if call is not None else None
        requests = Requests(map(self._requests.__getitem__, started))
        try:
            result = run_refilling(
                rows,
                [request.tokens for request in requests],
                started,
                [request.policy for request in requests],
                self._backend,
                self._places,
                drain=not self._scheduler.num_waiting,
                keep_trace=self._has_trace(requests) or (rows is not None and rows.trace.keep_trace),
            )
        except Exception:
            result = None  # calls of single steps find the rows that fail
        if result is None:
            self._room_ahead = None
            self._scheduler.put_back(started)
            if rows is not None:
                self._enqueue(rows)
            return None
        self.last_call = None
        staying, exits, count = result
        self._scheduler.put_back(started[count:])
        if staying is not None:
            self._enqueue(staying)
        return NOTHING if exits is None else check_outputs(exits)

    def _has_trace(self, requests: Requests) -> bool:
        """Whether these rows keep the probabilities of every depth."""
        return self._keep_trace or any(r.keep_trace or r.ranked_in is not None for r in requests)

    def _admit(self) -> tuple[list[int], list[Failure]]:
        urgent = self._deadlines.find_urgent()
        started = self._scheduler.admit(urgent)
        if not started:
            return started, []
        self._deadlines.mark_started(started)
        batches, failed = run_bisecting(Requests(map(self._requests.__getitem__, started)), self._embed)
        for rows in batches:
            self._enqueue(rows, is_urgent=bool(urgent))
        return started, [Failure(request.identity, error) for (request,), error in failed]

    def _start_call(self, started: list[int]) -> list[Failure]:
        call, start_time = self._scheduler.next_call(), self._deadlines.clock()
        self.last_call = None
        if call is None:
            return []
        weights_key, identities = call
        rows = self._pools.take(weights_key, len(identities))
        self.last_call = LayerCall(tuple(started), len(rows), rows.layout.tokens, rows.trace.depth + 1)
        layers = 1 if self._deadlines or self._lists else self._layers
        pending, failed = run_bisecting(rows, lambda part: deepen(part, self._backend, layers))
        self._calls.append((start_time, pending))
        return [Failure(int(row.identity[0]), error) for row, error in failed]

    def _finish_call(self) -> StepResult:
        """Wait for the oldest call; enqueue the rows that stay, return those that exit."""
        result = NOTHING
        if not self._calls:
            return result
        start_time, call = self._calls.popleft()
        for pending in call:
            staying, exits = settle(pending, self._backend.config)
            if staying is not None:
                if self._lists:
                    self._lists.record(staying.identity, staying.trace.depth, staying.trace.probabilities)
                for rows in group_by_weights(staying, self._backend.config):
                    self._enqueue(rows)
            if exits is not None:
                result += check_outputs(exits)
        self._deadlines.record_call(start_time)
        self._record_in_lists(result)
        return result

    def _record_in_lists(self, result: StepResult) -> None:
        if self._lists:
            for exits in result.exits:
                self._lists.record_exits(exits.identity, exits.probabilities)
            self._lists.exclude(failure.identity for failure in result.failures)

    def _exit_outranked(self, lists: RankedLists) -> StepResult:
        """Exit the rows that are out of reach of the highest of their lists."""
        result = NOTHING
        for reason, outranked in lists.find_outranked().items():
            exits = self._exit_early(outranked, reason)
            lists.exclude(exits.identities)
            result += exits
        return result

    def _exit_early(self, identities: Collection[int], reason: str) -> StepResult:
        """Exit the rows of these requests that have reached depth 1, and are in no running call."""
        result = NOTHING
        for rows in self._pools.remove(identities, min_depth=1):
            self._scheduler.withdraw(set(rows.identity.tolist()))
            done, failed = run_bisecting(rows, lambda part: exit_here(part, self._backend, reason))
            result += StepResult((), tuple(Failure(int(row.identity[0]), error) for row, error in failed))
            for exits in done:
                result += check_outputs(exits)
        return result

    def _forget(self, identities: Collection[int]) -> None:
        for identity in identities:
            del self._requests[identity]
        self._deadlines.remove(identities)
        if self._lists:
            self._lists.remove(identities)
        self._scheduler.release(identities)

    def _embed(self, requests: Requests) -> Rows:
        return admit(
            [request.tokens for request in requests],
            [request.identity for request in requests],
            self._backend,
            [request.policy for request in requests],
            keep_trace=self._has_trace(requests),
        )

    def _enqueue(self, rows: Rows, *, is_urgent: bool = False) -> None:
        """Put rows into the pool of their next weights, here and in the scheduler, in the same order."""
        if not len(rows):
            return
        weights_key = self._backend.config.weights_key(int(rows.trace.depth[0]))
        self._scheduler.enqueue(weights_key, rows.identity.tolist(), is_urgent=is_urgent)
        self._pools.enqueue(weights_key, rows, at_front=is_urgent)


class RowPools(dict[Hashable, Rows]):
    """Rows that are ready for a layer call, by the weights that they need next, in the scheduler's order."""

    def enqueue(self, weights_key: Hashable, rows: Rows, *, at_front: bool) -> None:
        """Add rows behind those of the pool, or before them."""
        present = [self[weights_key]] if weights_key in self else []
        self[weights_key] = Rows.join([rows, *present] if at_front else [*present, rows])

    def take(self, weights_key: Hashable, count: int) -> Rows:
        """Remove and return the first ``count`` rows of a pool."""
        rows = self.pop(weights_key)
        if count < len(rows):
            rows, self[weights_key] = rows.split(count)
        return rows

    def remove(self, identities: Collection[int], min_depth: int) -> list[Rows]:
        """Remove and return the rows of these requests that have reached ``min_depth``."""
        removed, candidates = list[Rows](), list(identities)
        for weights_key, rows in list(self.items()):
            matches = np.isin(rows.identity, candidates) & (rows.trace.depth >= min_depth)
            if matches.any():
                removed.append(rows.keep(np.flatnonzero(matches)))
                self[weights_key] = rows.keep(np.flatnonzero(~matches))
            if matches.all():
                del self[weights_key]
        return removed


CALL_WEIGHT = 0.2  # of the latest call in the moving average of call durations


class Deadlines:
    """Compares the deadlines of requests, in seconds on ``clock``, with the expected duration of a layer call.

    A live row can exit after any call, with the prediction of the depth that it has reached, so it is late by less
    than one call. A waiting request needs a call first, and so do all requests that are due before it: as long as
    ``capacity`` can start them all in time, none of them is late by more than one call.
    """

    def __init__(self, capacity: Capacity, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.expected = 0.0  # seconds from the start of a call until its rows return: a moving average
        self._capacity = capacity
        self._due: dict[int, float] = {}
        self._waiting: list[tuple[float, int, int]] = []  # (due, identity, length), earliest deadline first

    def __len__(self) -> int:
        """Number of requests with a deadline."""
        return len(self._due)

    def add(self, request: Request) -> None:
        """Add a waiting request."""
        if request.deadline is not None:
            self._due[request.identity] = request.deadline
            insort(self._waiting, (request.deadline, request.identity, len(request.tokens.ids)))

    def mark_started(self, identities: Collection[int]) -> None:
        """Record that these requests are live."""
        if self._waiting and not self._due.keys().isdisjoint(identities):
            started = set(identities)
            self._waiting = [row for row in self._waiting if row[1] not in started]

    def remove(self, identities: Collection[int]) -> None:
        """Forget requests that have a result or were cancelled."""
        self.mark_started(identities)
        for identity in identities:
            self._due.pop(identity, None)

    def record_call(self, start_time: float) -> None:
        """Update the expected duration with a call that started at ``start_time`` and has just returned."""
        duration = self.clock() - start_time
        self.expected += (duration - self.expected) * (CALL_WEIGHT if self.expected else 1)

    def find_urgent(self) -> list[tuple[int, int]]:
        """``(identity, length)`` of requests that must start now: else they, or one that is due later, will be late."""
        if not self._waiting:
            return []
        now, calls, rows, tokens, urgent = self.clock(), 1, 0, 0, 0
        for number, (due, _, length) in enumerate(self._waiting, 1):
            if rows and (rows == self._capacity.rows or tokens + length > self._capacity.tokens):
                calls, rows, tokens = calls + 1, 0, 0
            rows, tokens = rows + 1, tokens + length
            if due < now + (calls + 1) * self.expected:  # late if the next call is not theirs
                urgent = number
        return [(identity, length) for _, identity, length in self._waiting[:urgent]]

    def find_overdue(self, seconds: float = 0.0) -> set[int]:
        """Requests that would miss their deadline in the next call, if it begins in ``seconds``."""
        if not self._due:
            return set()
        end = self.clock() + seconds + self.expected
        return {identity for identity, due in self._due.items() if due < end}


def submit_all(engine: Engine, requests: Sequence[Request]) -> Iterator[StepResult]:
    """Submit requests; yields a failure for each one that the engine rejects."""
    for request in requests:
        try:
            engine.submit(request)
        except InputError as error:
            yield StepResult(failures=(Failure(request.identity, error),))
