"""Queues: in which order waiting rows may start. A row is a number with a length here."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

NEVER = float("inf")


class Queue(Protocol):
    """Waiting rows, as ``(identity, length)``; ``due`` is when a row must be answered."""

    def put(self, identity: int, length: int, due: float = NEVER) -> None:
        """One more row waits."""

    def first(self) -> tuple[int, int]:
        """The row whose turn it is; it goes on waiting."""

    def take(self) -> tuple[int, int]:
        """The row whose turn it is, which waits no longer."""

    def drop(self, identities: Collection[int]) -> None:
        """These rows wait no longer, if they did."""

    def __len__(self) -> int:
        """How many rows wait."""


class Arrival:
    """First come, first served: for requests, which somebody waits for; nobody looks at when they are due."""

    def __init__(self) -> None:
        self._rows: deque[tuple[int, int]] = deque()

    def put(self, identity: int, length: int, due: float = NEVER) -> None:
        """One more row waits."""
        self._rows.append((identity, length))

    def first(self) -> tuple[int, int]:
        """The row whose turn it is."""
        return self._rows[0]

    def take(self) -> tuple[int, int]:
        """The row whose turn it is."""
        return self._rows.popleft()

    def drop(self, identities: Collection[int]) -> None:
        """These rows wait no longer."""
        self._rows = deque(row for row in self._rows if row[0] not in identities)

    def __len__(self) -> int:
        """How many rows wait."""
        return len(self._rows)


class Urgency:
    """The row that is due first, first: for requests that may have deadlines. Equally due, first come, first served."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, int, int, int]] = []  # (due, arrival, identity, length), a heap
        self._arrivals = count()

    def put(self, identity: int, length: int, due: float = NEVER) -> None:
        """One more row waits."""
        heappush(self._rows, (due, next(self._arrivals), identity, length))

    def first(self) -> tuple[int, int]:
        """The row whose turn it is."""
        return self._rows[0][2:]

    def take(self) -> tuple[int, int]:
        """The row whose turn it is."""
        return heappop(self._rows)[2:]

    def drop(self, identities: Collection[int]) -> None:
        """These rows wait no longer."""
        self._rows = [row for row in self._rows if row[2] not in identities]
        heapify(self._rows)

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

    def put(self, identity: int, length: int, due: float = NEVER) -> None:
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

    def drop(self, identities: Collection[int]) -> None:
        """These rows wait no longer."""
        self._this = [row for row in self._this if row[2] not in identities]
        self._next = [row for row in self._next if row[2] not in identities]
        heapify(self._this)

    def __len__(self) -> int:
        """How many rows wait."""
        return len(self._this) + len(self._next)
