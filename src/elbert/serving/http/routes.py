"""Routes: paths and methods, each with its handler; what is not there is told as everything else is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from elbert.serving.http.errors import Refusal
from elbert.serving.http.middleware import Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """Exact paths; ``table`` is ``{path: {method: handler}}``. HEAD is GET without its body."""

    def __init__(self, table: Mapping[str, Mapping[str, Handler]]) -> None:
        self._table = {path: _with_head(handlers) for path, handlers in table.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            Refusal: there is no such route, or not with this method.
        """
        handlers = self._table.get(scope["path"])
        if handlers is None:
            raise Refusal("NotFound", f"no route {scope['path']!a:.80}; /docs shows them all")
        handler = handlers.get(scope["method"])
        if handler is None:
            allowed = ", ".join(sorted(handlers))
            raise Refusal("MethodNotAllowed", f"expected {allowed}", {"allow": allowed})
        response = await handler(Request(scope, receive))
        await response(scope, receive, send)


def _with_head(handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    return {**handlers, "HEAD": handlers["GET"]} if "GET" in handlers else dict(handlers)
