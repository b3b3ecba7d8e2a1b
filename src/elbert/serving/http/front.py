"""The front: every request comes in and goes out here. Who may ask, which id it has, what is told of errors."""

from __future__ import annotations

import logging
from asyncio import CancelledError
from collections.abc import Callable
from hmac import compare_digest

from starlette.datastructures import Headers

from elbert.errors import ElbertError
from elbert.serving.http.exchange import KEY, Exchange, request_id
from elbert.serving.http.presence import Asgi, Gone, Message, Receive, Scope, Send
from elbert.serving.http.refusals import Refusal, refusal

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
