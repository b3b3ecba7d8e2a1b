"""Queues: in which order waiting rows may start. A row is a number with a length here."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol


class Queue(Protocol):
    """Waiting rows, as ``(identity, length)``."""

    def put(self, identity: int, length: int) -> None:
        """One more row waits."""

    def first(self) -> tuple[int, int]:
        """The row whose turn it is; it goes on waiting."""

    def take(self) -> tuple[int, int]:
        """The row whose turn it is, which waits no longer."""

    def __len__(self) -> int:
        """How many rows wait."""


class Arrival:
    """First come, first served: for requests, which somebody waits for."""

    def __init__(self) -> None:
        self._rows: deque[tuple[int, int]] = deque()

    def put(self, identity: int, length: int) -> None:
        """One more row waits."""
        self._rows.append((identity, length))

    def first(self) -> tuple[int, int]:
        """The row whose turn it is."""
        return self._rows[0]

    def take(self) -> tuple[int, int]:
        """The row whose turn it is."""
        return self._rows.popleft()

    def __len__(self) -> int:
        """How many rows wait."""
        return len(self._rows)


class Sweep:
    """From the longest row to the shortest, again and again, so that rows of like length share a call.

    Nothing starves: a newcomer that is not shorter than the sweep has come waits for the next one, so every sweep
    ends, whatever keeps arriving.
    """

    def __init__(self) -> None:
        self._this: list[tuple[int, int, int]] = []  # (-length, arrival, identity), a heap
        self._next: list[tuple[int, int, int]] = []
        self._arrivals = count()
        self._reached: float = float("inf")

    def put(self, identity: int, length: int) -> None:
        """One more row waits."""
        row = (-length, next(self._arrivals), identity)
        if length < self._reached:
            heappush(self._this, row)
        else:
            self._next.append(row)

    def first(self) -> tuple[int, int]:
        """The row whose turn it is."""
        if not self._this:
            self._this, self._next = self._next, []
            heapify(self._this)
            self._reached = float("inf")
        length, _, identity = self._this[0]
        return identity, -length

    def take(self) -> tuple[int, int]:
        """The row whose turn it is."""
        identity, length = self.first()
        heappop(self._this)
        self._reached = length
        return identity, length

    def __len__(self) -> int:
        """How many rows wait."""
        return len(self._this) + len(self._next)
