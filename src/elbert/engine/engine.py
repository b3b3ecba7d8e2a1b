"""Pools: the rows that stand ready, with their hidden states. The scheduler keeps the same pools as numbers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Hashable

import numpy as np
import torch

from elbert.engine.deadlines import Deadlines
from elbert.engine.queues import Queue
from elbert.engine.requests import Call, Failure, Left, Request, Requests, answered
from elbert.engine.retry import surviving
from elbert.engine.scheduler import Capacity, Scheduler
from elbert.errors import InputError
from elbert.inference import Deeper, Rows, admit, call_off, check_tokens, deepen, same_weights, settle
from elbert.model import Backend


class Pools(dict[Hashable, Rows]):
    """Rows by the weights that they need next, in the scheduler's order."""

    def stand(self, need: Hashable, rows: Rows, *, first: bool) -> None:
        """More rows are ready, before or behind those that are there."""
        there = [self[need]] if need in self else []
        self[need] = Rows.join([rows, *there] if first else [*there, rows])

    def take(self, need: Hashable, count: int) -> Rows:
        """The first rows of a pool."""
        rows = self.pop(need)
        if count < len(rows):
            rows, self[need] = rows.cut(count)
        return rows

    def pull(self, identities: Collection[int], from_depth: int) -> list[Rows]:
        """The rows of these requests that are here and so deep, out of their pools."""
        pulled, among = list[Rows](), list(identities)
        for need, rows in list(self.items()):
            wanted = np.isin(rows.identity, among) & (rows.trace.depth >= from_depth)
            if wanted.any():
                pulled.append(rows.keep(np.flatnonzero(wanted)))
                self[need] = rows.keep(np.flatnonzero(~wanted))
            if wanted.all():
                del self[need]
        return pulled


PATIENCE = 1.0  # seconds after which whoever has no deadline is as urgent as who has one


class Engine:
    """Classifies requests that may arrive at any time.

    ``remember`` keeps what every depth said. ``lanes`` is how many calls are under way at once: on an accelerator
    two, so that the host decides about one while the other computes. ``refill`` is the share of places that must be
    free before new rows start (see :class:`Scheduler`). Deadlines are seconds on ``clock``. ``latest`` is the last
    step's layer call, if it made one.
    """

    def __init__(
        self,
        backend: Backend,
        capacity: Capacity,
        *,
        remember: bool = False,
        queue: Queue | None = None,
        lanes: int | None = None,
        refill: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        config = backend.config
        self._backend = backend
        self._remember = remember
        self._lanes = (1 if backend.device.type == "cpu" else 2) if lanes is None else lanes
        needs = [config.need(depth) for depth in range(config.depths)]
        self._scheduler = Scheduler(capacity, needs, queue=queue, lanes=self._lanes, refill=refill)
        self._requests: dict[int, Request] = {}
        self._pools = Pools()
        self._calls: deque[tuple[float, list[Deeper]]] = deque()  # under way since then, the oldest first
        self._deadlines = Deadlines(capacity, clock)
        self._cancelled: set[int] = set()
        self.latest: Call | None = None

    def __len__(self) -> int:
        """How many requests are waiting or live."""
        return len(self._requests)

    @property
    def waiting(self) -> int:
        """How many requests have not started."""
        return self._scheduler.waiting

    def submit(self, request: Request) -> None:
        """Take a request in; its answer comes out of a later :meth:`step`.

        Raises:
            InputError: the model has no embedding of a token, or a request of that identity is here already.
        """
        check_tokens(request.tokens, self._backend.config)
        if request.identity in self._requests:
            raise InputError(f"request {request.identity} is under way already; identities must differ")
        self._requests[request.identity] = request
        self._deadlines.add(request)
        due = self._deadlines.clock() + PATIENCE if request.deadline is None else request.deadline
        self._scheduler.enter(request.identity, len(request.tokens.ids), due)

    def cancel(self, identity: int) -> None:
        """Nobody wants this request's answer any more: the next :meth:`step` frees its place and says nothing of it.

        Whoever has left already, or was never here, is no error: cancellations and answers cross.
        """
        if identity in self._requests:
            self._cancelled.add(identity)

    @torch.inference_mode()
    def step(self) -> Left:
        """One layer call: admit whom there is room for, advance, release who leaves or must not wait any longer."""
        self._drop_cancelled()
        started, failures = self._admit()
        left = Left((), (*failures, *self._advance(started)))
        if len(self._calls) == self._lanes or not self._scheduler.can_call:
            left += self._release()
        left += self._call_off()
        self._forget(left.identities)
        unheard = self._cancelled.intersection(left.identities)
        self._cancelled -= unheard
        return left.without(unheard)

    def _drop_cancelled(self) -> None:
        """Free the places of who was cancelled; who is under way is freed when the call comes back."""
        if not self._cancelled:
            return
        under_way = {int(i) for _, call in self._calls for deeper in call for i in deeper.rows.identity}
        free = self._cancelled - under_way
        self._pools.pull(free, from_depth=0)
        self._scheduler.withdraw(free)
        self._forget(free)
        self._cancelled -= free

    def _admit(self) -> tuple[list[int], list[Failure]]:
        hurried = self._deadlines.hurried()
        started = self._scheduler.admit(hurried)
        if not started:
            return started, []
        self._deadlines.started(started)
        admitted, failed = surviving(Requests(map(self._requests.__getitem__, started)), self._embed)
        for rows in admitted:
            self._stand(rows, hurried=bool(hurried))
        return started, [Failure(request.identity, error) for (request,), error in failed]

    def _advance(self, started: list[int]) -> list[Failure]:
        call, began = self._scheduler.call(), self._deadlines.clock()
        self.latest = None
        if call is None:
            return []
        need, identities = call
        rows = self._pools.take(need, len(identities))
        self.latest = Call(tuple(started), len(rows), rows.layout.tokens, rows.trace.depth + 1)
        under_way, failed = surviving(rows, lambda some: deepen(some, self._backend))
        self._calls.append((began, under_way))
        return [Failure(int(row.identity[0]), error) for row, error in failed]

    def _release(self) -> Left:
        left = Left()
        if not self._calls:
            return left
        began, call = self._calls.popleft()
        for deeper in call:
            staying, exits = settle(deeper, self._backend.config)
            for rows in same_weights(staying, self._backend.config):
                self._stand(rows)
            left += answered(exits)
        self._deadlines.took(began)
        return left

    def _call_off(self) -> Left:
        """Who has been a layer deep at least, and would be late with another, leaves."""
        left, over = Left(), self._deadlines.over()
        for rows in self._pools.pull(over, from_depth=1) if over else ():
            self._scheduler.withdraw(set(rows.identity.tolist()))
            done, failed = surviving(rows, lambda some: call_off(some, self._backend))
            left += Left((), tuple(Failure(int(row.identity[0]), error) for row, error in failed))
            for exits in done:
                left += answered(exits)
        return left

    def _forget(self, left: Collection[int]) -> None:
        for identity in left:
            del self._requests[identity]
        self._deadlines.remove(left)
        self._scheduler.gone(left)

    def _embed(self, requests: Requests) -> Rows:
        return admit(
            [request.tokens for request in requests],
            [request.identity for request in requests],
            self._backend,
            [request.policy for request in requests],
            remember=self._remember or any(request.remember for request in requests),
        )

    def _stand(self, rows: Rows, *, hurried: bool = False) -> None:
        """The rows stand ready for the weights that they need next."""
        if not len(rows):
            return
        need = self._backend.config.need(int(rows.trace.depth[0]))
        self._scheduler.stand(need, rows.identity.tolist(), hurried=hurried)
        self._pools.stand(need, rows, first=hurried)
