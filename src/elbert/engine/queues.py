"""Queues: the order in which waiting rows start. A row is an identity with a length here."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

NEVER = float("inf")


class Queue(Protocol):
    """Waiting rows, as ``(identity, length)``."""

    def put(self, identity: int, length: int, due: float = NEVER) -> None:
        """Add a row of ``length`` tokens that must have its prediction at ``due``."""

    def peek(self) -> tuple[int, int]:
        """Return the next row without removing it."""

    def take(self) -> tuple[int, int]:
        """Remove and return the next row."""

    def drop(self, identities: Collection[int]) -> None:
        """Remove these rows, where present."""

    def __len__(self) -> int:
        """Number of waiting rows."""


class ArrivalQueue:
    """First come, first served; deadlines are ignored."""

    def __init__(self) -> None:
        self._rows: deque[tuple[int, int]] = deque()

    def put(self, identity: int, length: int, due: float = NEVER) -> None:
        """Add a row at the end."""
        self._rows.append((identity, length))

    def peek(self) -> tuple[int, int]:
        """Return the oldest row."""
        return self._rows[0]

    def take(self) -> tuple[int, int]:
        """Remove and return the oldest row."""
        return self._rows.popleft()

    def drop(self, identities: Collection[int]) -> None:
        """Remove these rows, where present."""
        self._rows = deque(row for row in self._rows if row[0] not in identities)

    def __len__(self) -> int:
        """Number of waiting rows."""
        return len(self._rows)


class DeadlineQueue:
    """Earliest deadline first; rows with equal deadlines in the order of their arrival."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, int, int, int]] = []  # (due, arrival, identity, length), a heap
        self._arrivals = count()

    def put(self, identity: int, length: int, due: float = NEVER) -> None:
        """Add a row."""
        heappush(self._rows, (due, next(self._arrivals), identity, length))

    def peek(self) -> tuple[int, int]:
        """Return the row that is due first."""
        return self._rows[0][2:]

    def take(self) -> tuple[int, int]:
        """Remove and return the row that is due first."""
        return heappop(self._rows)[2:]

    def drop(self, identities: Collection[int]) -> None:
        """Remove these rows, where present."""
        self._rows = [row for row in self._rows if row[2] not in identities]
        heapify(self._rows)

    def __len__(self) -> int:
        """Number of waiting rows."""
        return len(self._rows)


class SweepQueue:
    """From the longest row to the shortest, again and again, so that rows of similar length share a call.

    No row waits forever: a new row that is at least as long as the last one taken waits for the next sweep, so every
    sweep ends, even if rows keep arriving.
    """

    def __init__(self) -> None:
        self._this: list[tuple[int, int, int]] = []  # rows of this sweep: (-length, arrival, identity), a heap
        self._next: list[tuple[int, int, int]] = []  # rows of the next sweep
        self._arrivals = count()
        self._last_length: float = float("inf")

    def put(self, identity: int, length: int, due: float = NEVER) -> None:
        """Add a row to this sweep, or to the next if the sweep has passed its length."""
        row = (-length, next(self._arrivals), identity)
        if length < self._last_length:
            heappush(self._this, row)
        else:
            self._next.append(row)

    def peek(self) -> tuple[int, int]:
        """Return the longest row of this sweep; starts the next sweep if this one is over."""
        if not self._this:
            self._this, self._next = self._next, []
            heapify(self._this)
            self._last_length = float("inf")
        length, _, identity = self._this[0]
        return identity, -length

    def take(self) -> tuple[int, int]:
        """Remove and return the longest row of this sweep."""
        identity, length = self.peek()
        heappop(self._this)
        self._last_length = length
        return identity, length

    def drop(self, identities: Collection[int]) -> None:
        """Remove these rows, where present."""
        self._this = [row for row in self._this if row[2] not in identities]
        self._next = [row for row in self._next if row[2] not in identities]
        heapify(self._this)

    def __len__(self) -> int:
        """Number of waiting rows."""
        return len(self._this) + len(self._next)
