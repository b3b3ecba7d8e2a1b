"""Presence: whether the client is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gone(Exception):
    """The client has gone away; there is nobody to answer."""


class Presence:
    """While inside, whoever waits is called off when the client goes away.

    >>> async with Presence(receive):  # raises Gone
    ...     await the_answer

    For after the body has been read: nothing else than the client's leaving can come then.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False

    async def __aenter__(self) -> Self:
        """Start to watch."""
        self._waiting = asyncio.current_task()
        self._watch = asyncio.create_task(self._look_out())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching.

        Raises:
            Gone: the client went away.
        """
        self._watch.cancel()
        if self._gone and self._waiting is not None:
            others = self._waiting.uncancel()  # who else wants this task to end, such as a server that stops
            if not others and (kind is None or issubclass(kind, asyncio.CancelledError)):
                raise Gone from error

    async def _look_out(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._waiting is not None:
            self._waiting.cancel()
