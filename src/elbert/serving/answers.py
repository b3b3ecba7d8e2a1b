"""Answers: what somebody waits for, item by item, as each leaves."""

from __future__ import annotations

import asyncio
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
        self._items: asyncio.Queue[Item] = asyncio.Queue()
        self._cancel = cancel

    def __len__(self) -> int:
        """How many items are still to come."""
        return self._due

    def deliver(self, item: Item) -> None:
        """An item is there."""
        self._items.put_nowait(item)

    def __aiter__(self) -> Self:
        """Itself."""
        return self

    async def __anext__(self) -> Item:
        """The next item to leave."""
        if not self._due:
            raise StopAsyncIteration
        try:
            item = await self._items.get()
        except asyncio.CancelledError:
            self.close()
            raise
        self._due -= 1
        return item

    async def all(self) -> list[Item]:
        """All that are still to come, in the order of their texts."""
        return sorted([item async for item in self], key=lambda item: item.index)

    def close(self) -> None:
        """Nobody waits any more."""
        if self._due:
            self._due = 0
            self._cancel()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of what is under way."""
        self.close()
