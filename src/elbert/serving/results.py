"""Results: one for each text of a request, delivered as rows exit."""

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
    """Durations in seconds: tokenization (of the whole request), the wait for the first layer, layer calls."""

    tokenise: float = 0.0
    queue: float = 0.0
    inference: float = 0.0


@dataclass(frozen=True, slots=True)
class TextResult:
    """One text's prediction or error; ``index`` is its position in the request.

    ``point`` is the operating point it ran under, or the policy's spec if that has no name. ``logits`` by label are
    present if the request asks for them. Of a text in windows, ``tokens`` are those of the windows that were read, and
    ``window_layer_tokens`` the sum of their tokens times their depths.
    """

    index: int
    prediction: Prediction | None
    error: ElbertError | None
    point: str
    tokens: int = 0
    truncated: bool = False
    timings: Timings = Timings()
    logits: Mapping[str, float] | None = None
    window_layer_tokens: int | None = None

    @property
    def layer_tokens(self) -> int:
        """Its tokens times its exit depth."""
        if self.window_layer_tokens is not None:
            return self.window_layer_tokens
        return 0 if self.prediction is None else self.tokens * self.prediction.depth


class ResultStream(AsyncIterator[TextResult]):
    """The results of one request, in the order in which texts exit; exactly one for each text.

    Leaving ``async with``, :meth:`close`, or cancelling the task that waits here cancels the texts still in progress.
    """

    def __init__(self, texts: int, cancel: Callable[[], None]) -> None:
        self._remaining = texts
        self._results: deque[TextResult] = deque()  # delivered and not yet consumed
        self._needed = 1  # results that the waiting task needs before it is woken: one wake-up for a whole batch
        self._waiting: asyncio.Future[None] | None = None
        self._cancel = cancel

    def __len__(self) -> int:
        """The number of results not yet consumed."""
        return self._remaining

    def deliver(self, result: TextResult) -> None:
        """Add a result, and wake the waiting task if it now has enough."""
        self._results.append(result)
        if self._waiting is not None and len(self._results) >= self._needed and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> Self:
        """The stream itself: it can be consumed once."""
        return self

    async def __anext__(self) -> TextResult:
        """The next result."""
        if not self._remaining:
            raise StopAsyncIteration
        await self._wait_for(1)
        self._remaining -= 1
        return self._results.popleft()

    async def all(self) -> list[TextResult]:
        """All results not yet consumed, in the order of the request's texts."""
        await self._wait_for(self._remaining)
        self._remaining = 0
        results = sorted(self._results, key=lambda result: result.index)
        self._results.clear()
        return results

    def close(self) -> None:
        """Cancel the texts still in progress."""
        if self._remaining:
            self._remaining = 0
            self._cancel()

    async def _wait_for(self, count: int) -> None:
        if len(self._results) >= count:
            return
        self._needed, self._waiting = count, asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._waiting = None

    async def __aenter__(self) -> Self:
        """The stream itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the texts still in progress."""
        self.close()
