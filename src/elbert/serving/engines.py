"""The engines of a server: one for requests, and one for what can wait until nobody else does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from elbert.engine import Call, Capacity, Engine, Left, NoNumber, Request, Urgency
from elbert.engine.drive import submit
from elbert.exits import Depth
from elbert.model import Backend
from elbert.text import Tokens

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
