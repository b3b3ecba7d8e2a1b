"""One replica: the engine's own scheduler, rows that are numbers, and a clock instead of a model."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple, Protocol

from elbert.engine import Capacity, Queue, Scheduler


class Text(NamedTuple):
    """What matters of a text: its tokens, and the depth at which it exits."""

    length: int
    depth: int


class Step(NamedTuple):
    """What a step of the engine has to do. ``squares`` is the sum of the squared lengths, which attention pays."""

    rows: int
    tokens: int
    squares: int
    started: int = 0
    started_tokens: int = 0
    left: int = 0
    left_tokens: int = 0

    @property
    def joins(self) -> bool:
        """Whether new rows are put beside others."""
        return 0 < self.started < self.rows

    @property
    def keeps(self) -> bool:
        """Whether some rows are kept where others exit."""
        return 0 < self.left < self.rows

    @property
    def moved(self) -> int:
        """Tokens that are copied to make room, or to fill it."""
        return self.tokens * self.joins + (self.tokens - self.left_tokens) * self.keeps


def step_of(rows: Iterable[Text], started: Iterable[Text], left: Iterable[Text]) -> Step:
    """What a step has to do: the rows of the call, those of them that had just started, and those that exit with it."""
    every, new, gone = ([text.length for text in some] for some in (rows, started, left))
    squares = sum(length * length for length in every)
    return Step(len(every), sum(every), squares, len(new), sum(new), len(gone), sum(gone))


class Clock(Protocol):
    """How long things take, in the unit of the arrival times."""

    @property
    def entry(self) -> float:
        """To take one text in."""

    def step(self, step: Step, at: float) -> float:
        """One step of the engine, which begins at that moment."""


class Replica:
    """``Engine`` with one call under way, as on a processor. ``weights_keys`` as the scheduler's."""

    def __init__(
        self,
        capacity: Capacity,
        clock: Clock,
        weights_keys: Sequence[Hashable],
        *,
        queue: Queue | None = None,
        refill: float = 0.0,
        scheduler: Scheduler | None = None,
    ) -> None:
        self._scheduler = scheduler or Scheduler(capacity, weights_keys, queue=queue, refill=refill)
        self._clock = clock
        self._needs = weights_keys
        self._texts: dict[int, Text] = {}
        self._depth: dict[int, int] = {}
        self.now = 0.0
        self.busy = 0.0  # seconds spent in steps
        self.calls = 0
        self.rows = 0  # of all calls

    def __len__(self) -> int:
        """How many texts wait or are under way."""
        return len(self._texts)

    def enter(self, identity: int, text: Text, at: float) -> None:
        """A text comes at ``at``; a step under way then is not for it."""
        self.now = max(self.now, at) + self._clock.entry
        self._texts[identity] = text
        self._scheduler.add(identity, text.length)

    def step(self) -> list[int]:
        """Texts that exit with this step, at :attr:`now` after it."""
        started = self._scheduler.admit()
        self._depth.update(dict.fromkeys(started, 0))
        self._scheduler.enqueue(self._needs[0], started)
        call = self._scheduler.next_call()
        if call is None:
            raise RuntimeError("a step without a row: none waits, none is in flight")
        staying, left = self._deeper(call[1])
        rows, new, gone = (map(self._texts.__getitem__, some) for some in (call[1], started, left))
        took = self._clock.step(step_of(rows, new, gone), self.now)
        self.now += took
        self.busy += took
        self.calls += 1
        self.rows += len(call[1])
        for identity in left:
            del self._texts[identity], self._depth[identity]
        for identity in staying:
            self._scheduler.enqueue(self._needs[self._depth[identity]], [identity])
        self._scheduler.release(left)
        return left

    def until(self, moment: float) -> Iterable[tuple[float, int]]:
        """Steps that begin before ``moment``; yields the texts that exit, and when."""
        while self._texts and self.now < moment:
            left = self.step()
            yield from ((self.now, identity) for identity in left)

    def _deeper(self, rows: Sequence[int]) -> tuple[list[int], list[int]]:
        staying, left = list[int](), list[int]()
        for identity in rows:
            self._depth[identity] += 1
            done = self._depth[identity] >= self._texts[identity].depth
            (left if done else staying).append(identity)
        return staying, left
