"""Deadlines: who must start now, and who has no time for another layer call."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection

from elbert.engine.requests import Request
from elbert.engine.scheduler import Capacity

FORGETS = 0.2  # the weight of the latest call in the expected duration of the next


class Deadlines:
    """When requests must be answered, in seconds on ``clock``, beside how long a layer call takes.

    A row that has started can answer at any time, with the depth that it has reached: it is late by less than the call
    in which its deadline passes. One that waits needs a call first, and so does everybody who is due before it: as
    long as ``capacity`` has room for them all in time, nobody is late by more than one call either.
    """

    def __init__(self, capacity: Capacity, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.expected = 0.0  # seconds from the start of a call until its rows are back: a moving average
        self._capacity = capacity
        self._due: dict[int, float] = {}
        self._waiting: list[tuple[float, int, int]] = []  # (due, identity, length), who is due first first

    def add(self, request: Request) -> None:
        """A request waits."""
        if request.deadline is not None:
            self._due[request.identity] = request.deadline
            insort(self._waiting, (request.deadline, request.identity, len(request.tokens.ids)))

    def started(self, identities: Collection[int]) -> None:
        """Requests wait no longer."""
        if self._waiting and not self._due.keys().isdisjoint(identities):
            gone = set(identities)
            self._waiting = [row for row in self._waiting if row[1] not in gone]

    def remove(self, identities: Collection[int]) -> None:
        """Requests have left."""
        self.started(identities)
        for identity in identities:
            self._due.pop(identity, None)

    def took(self, began: float) -> None:
        """A call that began then has come back."""
        duration = self.clock() - began
        self.expected += (duration - self.expected) * (FORGETS if self.expected else 1)

    def hurried(self) -> list[tuple[int, int]]:
        """``(identity, length)`` of who must start now, or they, or who is due after them, will come too late."""
        if not self._waiting:
            return []
        now, calls, rows, tokens, critical = self.clock(), 1, 0, 0, 0
        for number, (due, _, length) in enumerate(self._waiting, 1):
            if rows and (rows == self._capacity.rows or tokens + length > self._capacity.tokens):
                calls, rows, tokens = calls + 1, 0, 0
            rows, tokens = rows + 1, tokens + length
            if due < now + (calls + 1) * self.expected:  # were the next call not theirs, but only the ones after it
                critical = number
        return [(identity, length) for _, identity, length in self._waiting[:critical]]

    def over(self) -> set[int]:
        """Who would come too late with the next call."""
        if not self._due:
            return set()
        end = self.clock() + self.expected
        return {identity for identity, due in self._due.items() if due < end}
