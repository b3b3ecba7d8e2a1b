"""Results: one item for each text of a request, delivered as rows exit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from elbert.errors import ElbertError
from elbert.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds: tokenising (the whole request), waiting to start, layer calls."""

    tokenise: float = 0.0
    queue: float = 0.0
    inference: float = 0.0


@dataclass(frozen=True, slots=True)
class Item:
    """One text's answer, or why it has none; ``index`` is its place in the request.

    ``point`` is the operating point under which it ran, or the spec where that has no name. ``logits`` by label are
    there where they were asked for.
    """

    index: int
    prediction: Prediction | None
    error: ElbertError | None
    point: str
    tokens: int = 0
    truncated: bool = False
    timings: Timings = Timings()
    logits: Mapping[str, float] | None = None

    @property
    def layer_tokens(self) -> int:
        """Its tokens times the layers that it took."""
        return 0 if self.prediction is None else self.tokens * self.prediction.depth


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
