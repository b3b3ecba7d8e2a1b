"""A source that may itself wait for our answers: read in a thread of its own, so that nobody waits for each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from queue import Empty, Queue
from threading import Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")


class End(Exception):
    """The source has ended, or failed with its cause."""


class Live(Generic[Item]):
    """Items as they come: waits for one, then gives whatever else is there."""

    def __init__(self, source: Iterable[Item], most: int) -> None:
        """Hold at most ``most`` items that nobody has taken."""
        self._items: Queue[Item | End] = Queue(most)
        Thread(target=self._read, args=(source,), daemon=True).start()

    def __iter__(self) -> Iterator[Item]:
        """The items that are there, the first of them waited for; fewer than asked for means: no more for now."""
        item = self._items.get()
        while True:
            if isinstance(item, End):
                self._items.put(item)  # it stays the end
                if item.__cause__ is not None:
                    raise item.__cause__
                raise item
            yield item
            try:
                item = self._items.get_nowait()
            except Empty:
                return

    def _read(self, source: Iterable[Item]) -> None:
        end = End()
        try:
            for item in source:
                self._items.put(item)
        except Exception as error:
            end.__cause__ = error
        self._items.put(end)
