"""Lists that are ranked: what their rows may still reach, compared after each step; rows out of reach exit.

Rows of a list may be at different depths, wait, or be done: a row counts from the depth at which the rule has its
window, with what it then reaches at least and at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.engine.requests import RankedList, Request

INFINITE = np.array([np.inf])


class ListState:
    """What the rows of one list may reach. ``contends`` is false of rows that the rule exited, or that failed."""

    def __init__(self) -> None:
        self.places: dict[int, int] = {}  # by identity
        self.low = np.zeros(0)
        self.high = np.zeros(0)
        self.contends = np.zeros(0, bool)
        self.remaining = 0  # rows in progress
        self.is_changed = False

    def add(self, identity: int) -> None:
        """Add a row, which may reach anything."""
        self.places[identity] = len(self.places)
        self.remaining += 1

    def find(self, identities: Iterable[int]) -> NDArray[np.int64]:
        """The places of rows."""
        return np.array([self.places[identity] for identity in identities], np.int64)

    def set_bounds(self, identities: Iterable[int], low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
        """Record what rows may reach."""
        places = self.find(identities)
        if new := len(self.places) - len(self.low):  # once for all rows that were added since
            self.low = np.concatenate((self.low, np.full(new, -np.inf)))
            self.high = np.concatenate((self.high, np.full(new, np.inf)))
            self.contends = np.concatenate((self.contends, np.ones(new, bool)))
        self.low[places], self.high[places] = low, high
        self.is_changed = True


class RankedLists:
    """The lists of an engine. ``scale`` is the unit of values."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._states: dict[RankedList, ListState] = {}
        self._list_of: dict[int, RankedList] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._list_of)

    def add(self, request: Request) -> None:
        """Add the row of a request, if it belongs to a list."""
        if request.ranked_in is not None:
            self._list_of[request.identity] = request.ranked_in
            self._states.setdefault(request.ranked_in, ListState()).add(request.identity)

    def record(self, identity: NDArray[np.int64], depth: NDArray[np.int64], outputs: NDArray[Any]) -> None:
        """Record ``outputs [rows, depths, 1]`` of rows that go on, filled up to each row's ``depth``."""
        for ranked, index in self._group(identity):
            size = int(ranked.rule.size)
            index = index[depth[index] >= size]
            if len(index):
                steps = depth[index, None] + np.arange(-size, 0)
                windows = outputs[index[:, None], steps, 0].astype(np.float64) / self._scale
                self._states[ranked].set_bounds(identity[index].tolist(), *ranked.rule.bounds(windows))

    def record_exits(self, identity: NDArray[np.int64], outputs: NDArray[Any]) -> None:
        """Record the ``outputs [rows, 1]`` of rows that are done."""
        for ranked, index in self._group(identity):
            values = outputs[index, 0].astype(np.float64) / self._scale
            self._states[ranked].set_bounds(identity[index].tolist(), values, values)

    def find_outranked(self) -> dict[str, set[int]]:
        """By reason, the rows in progress that their rules exit now; those in a running call are found after it."""
        found = dict[str, set[int]]()
        for ranked, state in self._states.items():
            if not state.is_changed:
                continue
            state.is_changed = False
            places = np.flatnonzero(state.contends)
            out = set(places[ranked.rule.find_outranked(state.low[places], state.high[places])].tolist())
            if out:
                rows = {i for i, place in state.places.items() if place in out and i in self._list_of}
                found.setdefault(ranked.rule.reason, set()).update(rows)
        return found

    def exclude(self, identities: Iterable[int]) -> None:
        """These rows do not contend any more: the rule exited them, or they have no value."""
        for identity in identities:
            if (ranked := self._list_of.get(identity)) is not None:
                state = self._states[ranked]
                state.set_bounds([identity], -INFINITE, INFINITE)
                state.contends[state.places[identity]] = False

    def remove(self, identities: Iterable[int]) -> None:
        """These rows are complete or cancelled; a list ends with its last row in progress."""
        for identity in identities:
            if (ranked := self._list_of.pop(identity, None)) is not None:
                state = self._states[ranked]
                state.remaining -= 1
                if not state.remaining:
                    del self._states[ranked]

    def _group(self, identities: NDArray[np.int64]) -> list[tuple[RankedList, NDArray[np.int64]]]:
        if not self._list_of:
            return []
        groups = dict[RankedList, list[int]]()
        for index, identity in enumerate(identities.tolist()):
            if (ranked := self._list_of.get(identity)) is not None:
                groups.setdefault(ranked, []).append(index)
        return [(ranked, np.array(index)) for ranked, index in groups.items()]
