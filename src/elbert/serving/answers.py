"""Answers: what somebody waits for, item by item, as each leaves."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from elbert.serving.items import Item


class Answers(AsyncIterator[Item]):
    """The items of one request, in the order in which they leave; every text has exactly one.

    Whoever goes away says so: by leaving ``async with``, by :meth:`close`, or by being cancelled while waiting here.
    The texts that are still under way are then let go.
    """

    def __init__(self, texts: int, cancel: Callable[[], None]) -> None:
        self._due = texts
        self._items: deque[Item] = deque()  # that are there, and not yet taken
        self._wanted = 1  # so many must be there before whoever waits is woken
        self._waiting: asyncio.Future[None] | None = None
        self._cancel = cancel

    def __len__(self) -> int:
        """How many items are still to come."""
        return self._due

    def deliver(self, item: Item) -> None:
        """An item is there."""
        self._items.append(item)
        if self._waiting is not None and len(self._items) >= self._wanted and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> Self:
        """Itself."""
        return self

    async def __anext__(self) -> Item:
        """The next item to leave."""
        if not self._due:
            raise StopAsyncIteration
        await self._there(1)
        self._due -= 1
        return self._items.popleft()

    async def all(self) -> list[Item]:
        """All that are still to come, in the order of their texts."""
        await self._there(self._due)
        self._due = 0
        items = sorted(self._items, key=lambda item: item.index)
        self._items.clear()
        return items

    def close(self) -> None:
        """Nobody waits any more."""
        if self._due:
            self._due = 0
            self._cancel()

    async def _there(self, wanted: int) -> None:
        """Wait until so many items are there."""
        if len(self._items) >= wanted:
            return
        self._wanted, self._waiting = wanted, asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._waiting = None

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of what is under way."""
        self.close()
