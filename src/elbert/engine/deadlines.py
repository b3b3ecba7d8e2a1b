"""Deadlines: which requests must start now, and which rows have no time for another layer call."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection

from elbert.engine.requests import Request
from elbert.engine.scheduler import Capacity

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

    def find_overdue(self) -> set[int]:
        """Requests that would miss their deadline in the next call."""
        if not self._due:
            return set()
        end = self.clock() + self.expected
        return {identity for identity, due in self._due.items() if due < end}
