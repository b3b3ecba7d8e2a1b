"""Just enough HTTP/1.1 to load a server with: kept-alive connections, little work per request.

A load generator shares the machine with what it measures, so a request costs tens of microseconds here, not the
fraction of a millisecond that a full client takes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STALE = 2.0  # seconds after which an idle connection may be about to be closed by the other side


@dataclass(frozen=True)
class Response:
    """What came back; ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


def post(path: str, body: object, headers: Mapping[str, str] | None = None) -> bytes:
    """A request with a JSON body, as it goes over the wire."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{more}"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


def get(path: str) -> bytes:
    """A request without a body."""
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()


@dataclass(eq=False)
class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    transport: asyncio.Transport | None = None
    idle_since: float = 0.0
    _received: bytearray = field(default_factory=bytearray)
    _waiting: asyncio.Future[Response] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed: every waiting request fails."""
        self.transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError("closed before the answer was complete"))

    def data_received(self, data: bytes) -> None:
        """A piece of an answer."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None:
            return
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = self._complete(headers, end + 4)
        if body is None:
            return
        self._received.clear()
        if not self._waiting.done():
            self._waiting.set_result(Response(int(first.split()[1]), headers, body))
        if headers.get("connection") == "close":
            self.close()

    def _complete(self, headers: Mapping[str, str], start: int) -> bytes | None:
        if headers.get("transfer-encoding") == "chunked":
            return unchunked(bytes(self._received[start:]))
        size = int(headers.get("content-length", 0))
        return bytes(self._received[start : start + size]) if len(self._received) >= start + size else None

    async def ask(self, request: bytes) -> Response:
        """Send a request and wait for its answer.

        Raises:
            ConnectionError: the other side closed instead.
        """
        if self.transport is None:
            raise ConnectionError("closed before the request was sent")
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


def unchunked(received: bytes) -> bytes | None:
    """The body of a chunked answer, or None while it is not complete."""
    body = bytearray()
    while True:
        size, found, received = received.partition(b"\r\n")
        if not found:
            return None
        length = int(size.split(b";")[0], 16)
        if len(received) < length + 2:
            return None
        if not length:
            return bytes(body)
        body += received[:length]
        received = received[length + 2 :]


class Pool:
    """As many connections as are needed at once, used again and again."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._place = host, port
        self._idle: list[Connection] = []

    async def ask(self, request: bytes) -> Response:
        """Send a request over a free connection, or a new one.

        Raises:
            OSError: there is no connection to be had, or it was closed before the answer was complete.
        """
        connection = await self._free()
        try:
            response = await connection.ask(request)
        except BaseException:  # cancelled too: its answer would be taken for the next one's
            connection.close()
            raise
        connection.idle_since = time.monotonic()
        if connection.transport is not None:
            self._idle.append(connection)
        return response

    async def _free(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.transport is not None and time.monotonic() - connection.idle_since < STALE:
                return connection
            connection.close()
        _, connection = await asyncio.get_running_loop().create_connection(Connection, *self._place)
        return connection

    def close(self) -> None:
        """Hang up everywhere."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()
