"""Cross-origin calls: which pages' scripts may call from a browser (https://fetch.spec.whatwg.org, CORS protocol)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers

from elbert.serving.http.middleware import Asgi, Message, Receive, Scope, Send

METHODS, AGE = b"GET, POST", b"600"
SHOWN = b"retry-after, x-elbert-operating-point, x-request-id, x-total-time, x-queue-time, x-inference-time"


class Cors:
    """Around the front: errors may be read too. Without ``origins`` no page from elsewhere may read anything."""

    def __init__(self, app: Asgi, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a browser's question, or pass the request on and say who may read the answer."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = Headers(scope=scope)
        origin = given.get("origin")
        if origin is None or not ("*" in self._origins or origin in self._origins):
            return await self._app(scope, receive, send)
        allowed = b"*" if "*" in self._origins else origin.encode("latin-1")
        more = [(b"access-control-allow-origin", allowed), (b"vary", b"origin")]
        if scope["method"] == "OPTIONS" and "access-control-request-method" in given:
            asked = given.get("access-control-request-headers", "").encode("latin-1")
            more += [(b"access-control-allow-methods", METHODS), (b"access-control-max-age", AGE)]
            more += [(b"access-control-allow-headers", asked)] if asked else []
            await send({"type": "http.response.start", "status": 204, "headers": more})
            return await send({"type": "http.response.body", "body": b""})
        more.append((b"access-control-expose-headers", SHOWN))

        async def permitting(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        return await self._app(scope, receive, permitting)
