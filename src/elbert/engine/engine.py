"""The engine: admit, advance, release, for as long as rows come.

Rows at different depths take the shared layer together, and the place of one that leaves is filled before the next
call, so every call is full and the layers saved are time saved (a speed-up of depths / mean depth at any batch size;
batches that shrink, or wait for their slowest row, reach less).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

import torch

from elbert.depth import Deeper, Rows, admit, check_tokens, deepen, same_weights, settle
from elbert.engine.failing import surviving
from elbert.engine.queues import Queue
from elbert.engine.requests import Failure, Left, Request, Requests, answered
from elbert.engine.scheduler import Capacity, Scheduler
from elbert.errors import InputError
from elbert.model import Backend


class Engine:
    """Classifies requests that may arrive at any time.

    ``remember`` keeps what every depth said. ``lanes`` is how many calls are under way at once: on an accelerator
    two, so that the host decides about one while the other computes. ``refill`` is the share of places that must be
    free before new rows start (see :class:`Scheduler`).
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
    ) -> None:
        config = backend.config
        self._backend = backend
        self._remember = remember
        self._lanes = (1 if backend.device.type == "cpu" else 2) if lanes is None else lanes
        needs = [config.need(depth) for depth in range(config.depths)]
        self._scheduler = Scheduler(capacity, needs, queue=queue, lanes=self._lanes, refill=refill)
        self._requests: dict[int, Request] = {}
        self._pools: dict[Hashable, Rows] = {}  # rows that are ready, in the scheduler's order
        self._calls: deque[list[Deeper]] = deque()  # under way, the oldest first

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
        self._scheduler.enter(request.identity, len(request.tokens.ids))

    @torch.inference_mode()
    def step(self) -> Left:
        """One layer call: admit whom there is room for, advance, release who leaves."""
        left = Left((), (*self._admit(), *self._advance()))
        if len(self._calls) == self._lanes or not self._scheduler.can_call:
            left += self._release()
        for identity in left.identities:
            del self._requests[identity]
        self._scheduler.gone(left.identities)
        return left

    def _admit(self) -> list[Failure]:
        started = Requests(self._requests[identity] for identity in self._scheduler.admit())
        if not started:
            return []
        admitted, failed = surviving(started, self._embed)
        for rows in admitted:
            self._stand(rows)
        return [Failure(request.identity, error) for (request,), error in failed]

    def _advance(self) -> list[Failure]:
        call = self._scheduler.call()
        if call is None:
            return []
        need, identities = call
        rows = self._pools.pop(need)
        if len(identities) < len(rows):
            rows, self._pools[need] = rows.cut(len(identities))
        under_way, failed = surviving(rows, lambda some: deepen(some, self._backend))
        self._calls.append(under_way)
        return [Failure(int(row.identity[0]), error) for row, error in failed]

    def _release(self) -> Left:
        left = Left()
        for deeper in self._calls.popleft() if self._calls else ():
            staying, exits = settle(deeper, self._backend.config)
            for rows in same_weights(staying, self._backend.config):
                self._stand(rows)
            left += answered(exits)
        return left

    def _embed(self, requests: Requests) -> Rows:
        return admit(
            [request.tokens for request in requests],
            [request.identity for request in requests],
            self._backend,
            [request.policy for request in requests],
            remember=self._remember,
        )

    def _stand(self, rows: Rows) -> None:
        """The rows stand ready for the weights that they need next."""
        if not len(rows):
            return
        need = self._backend.config.need(int(rows.trace.depth[0]))
        self._scheduler.stand(need, rows.identity.tolist())
        self._pools[need] = Rows.join([self._pools[need], rows]) if need in self._pools else rows
