"""uvicorn's HTTP protocols with our manners: errors are JSON here too, and who never finishes asking is sent away."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from elbert.serving.http.refusals import Refusal

HEAD_SECONDS = 30.0  # that a request's head may take


class Manners(asyncio.Protocol):
    """Goes before one of uvicorn's two protocols, whose names these are."""

    cycle: Any
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        super().connection_made(transport)
        self._seen: object = None
        self._look = self.loop.call_later(HEAD_SECONDS, self._look_at_it)

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody has gone."""
        self._look.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        answer = Refusal("Malformed", msg).response()
        headers = [*answer.raw_headers, (b"connection", b"close")]
        lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()

    def _look_at_it(self) -> None:
        """Whoever has asked nothing since the last look is in the middle of a head: idle ones are closed earlier."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self._seen is self.cycle:
            self.transport.close()
            return
        self._seen = self.cycle
        self._look = self.loop.call_later(HEAD_SECONDS, self._look_at_it)


def protocol() -> type[asyncio.Protocol]:
    """The faster one if its parser is installed, with manners."""
    fast = find_spec("httptools") is not None
    module, name = ("httptools_impl", "HttpToolsProtocol") if fast else ("h11_impl", "H11Protocol")
    base = getattr(import_module(f"uvicorn.protocols.http.{module}"), name)
    return type("Protocol", (Manners, base), {})
