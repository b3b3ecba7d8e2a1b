"""Run uvicorn around the application, from the first request to a clean shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import uvicorn

from elbert.errors import InputError
from elbert.serving.http.errors import Refusal
from elbert.serving.http.middleware import Asgi
from elbert.serving.service import Service

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


log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
BACKLOG = 2048
LAST_WORDS = 5  # seconds that clients have to take their answers, when all have been given


class Server(uvicorn.Server):
    """uvicorn, which says when it takes requests, and leaves signals to us."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        self._announce()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def bound(host: str, port: int) -> socket.socket:
    """A socket at an address; nobody can connect before the server runs.

    Raises:
        InputError: the address cannot be had.
    """
    place = None
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # A name such as localhost may have several addresses; clients that know one of them know the older kind.
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        place = socket.socket(family, kind, protocol)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        if place is not None:
            place.close()
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot listen on {host}:{port} ({why}); give another --port, or end what is listening there"
        ) from error
    return place


def address_of(place: socket.socket) -> str:
    """The address that a browser takes."""
    host, port = place.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def config_of(app: Asgi) -> uvicorn.Config:
    """uvicorn's settings."""
    return uvicorn.Config(
        app,
        http=protocol(),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # nobody here asks who the client was
        backlog=BACKLOG,
        timeout_graceful_shutdown=LAST_WORDS,
    )


def run(service: Service, app: Asgi, place: socket.socket, announce: Callable[[], None]) -> bool:
    """Serve until a signal comes, then finish what is under way; whether all of it was finished.

    A second signal ends the process at once.

    Raises:
        BackendFailure: the engine does not start.
    """
    loop = import_module("uvloop").new_event_loop if find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_serve(service, app, place, announce))


async def _serve(service: Service, app: Asgi, place: socket.socket, announce: Callable[[], None]) -> bool:
    server = Server(config_of(app), announce)
    asked = asyncio.Event()
    with _signals(asked.set):
        await service.start()
        draining = asyncio.create_task(_drain(asked, service, server))
        try:
            await server.serve(sockets=[place])
            return await draining if asked.is_set() else await service.stop()
        finally:
            draining.cancel()


async def _drain(asked: asyncio.Event, service: Service, server: uvicorn.Server) -> bool:
    """While it finishes what is under way, the server still answers: that it takes nothing new."""
    await asked.wait()
    log.info("ending: what is under way is finished")
    try:
        return await service.stop()
    finally:
        server.should_exit = True


@contextmanager
def _signals(asked: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    said = list[int]()

    def heard(number: int, frame: object) -> None:
        if said:
            os._exit(128 + number)  # whoever asks twice does not want to wait for threads
        said.append(number)
        loop.call_soon_threadsafe(asked)

    before = {number: signal.signal(number, heard) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
