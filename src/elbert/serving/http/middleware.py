"""Middleware: client presence, request ids, API key, and one place that turns errors into answers."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from random import getrandbits
from types import TracebackType
from typing import Any, Self

from starlette.datastructures import Headers

from elbert.errors import ElbertError
from elbert.serving.http.errors import Refusal, refusal
from elbert.serving.http.headers import Durations
from elbert.serving.results import Item

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


SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)
KEY = "elbert.exchange"


@dataclass
class Exchange:
    """``error`` is the kind of refusal; ``status`` 0 is no answer; ``began`` is on the clock ``time.perf_counter``."""

    request_id: str
    route: str = ""
    method: str = ""
    classifies: bool = False
    batch: bool = False
    texts: int = 0
    characters: int = 0
    items: Sequence[Item] = ()
    durations: Durations = field(default_factory=Durations)
    status: int = 0
    error: str | None = None
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since it came."""
        return time.perf_counter() - self.began

    def answered(self, items: Sequence[Item]) -> None:
        """What came of its texts."""
        self.items = items
        self.durations = Durations.of(items)


def exchange_of(scope: Scope) -> Exchange:
    """The exchange of a request that came through the front."""
    found: Exchange = scope[KEY]
    return found


def request_id(given: str | None) -> str:
    """The caller's, if it is one that logs can bear, or a new one."""
    # An id need not be hard to guess, and the system's randomness costs a wait for the interpreter.
    return given if given and SANE.fullmatch(given) else f"{getrandbits(64):016x}"


log = logging.getLogger(__name__)

CLOSE = {"type": "websocket.close", "code": 1000}


class Front:
    """Around the routes; ``ended`` hears of every exchange. Paths in ``open_paths`` need no key."""

    def __init__(
        self, app: Asgi, api_key: str | None, open_paths: frozenset[str], ended: Callable[[Exchange], None]
    ) -> None:
        self._app = app
        self._key = None if api_key is None else f"Bearer {api_key}".encode()
        self._open_paths = open_paths
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, once."""
        if scope["type"] != "http":
            return await _no_http(scope, receive, send)
        given = Headers(scope=scope)
        exchange = scope[KEY] = Exchange(request_id(given.get("x-request-id")), scope["path"], scope["method"])
        named = (b"x-request-id", exchange.request_id.encode())

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", ()), named]
            await send(message)

        try:
            self._admit(scope["path"], scope["method"], given)
            await self._app(scope, receive, counting)
        except Gone:
            exchange.error = "Gone"
        except BaseException as error:
            told = _told(error)
            exchange.error = told.kind
            if exchange.status:  # it has begun to answer: to break off is the only way to say that there is no more
                raise
            await told.response()(scope, receive, counting)
        finally:
            self._ended(exchange)
        return None

    def _admit(self, path: str, method: str, given: Headers) -> None:
        if self._key is None or path in self._open_paths or (path == "/" and method in ("GET", "HEAD")):
            return
        said = given.get("authorization", "").strip().encode("latin-1")
        if not compare_digest(said, self._key):
            message = "wrong API key" if said else "no API key; expected the header Authorization: Bearer KEY"
            raise Refusal("Unauthorized", message, {"www-authenticate": "Bearer"})


def _told(error: BaseException) -> Refusal:
    if isinstance(error, ElbertError):
        return refusal(error)
    if isinstance(error, CancelledError | KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error
    log.error("the server failed on a request", exc_info=error)
    return Refusal("Internal", "the server failed on this request; its log says more")


async def _no_http(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send(CLOSE)
        return
    while True:  # lifespan: there is nothing to do
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
