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
from starlette.types import ASGIApp

from elbert.errors import InputError
from elbert.serving.http.errors import ApiError
from elbert.serving.service import Service

HEAD_SECONDS = 30.0  # in which a client must send the head of a request


class HeadTimeout(asyncio.Protocol):
    """Closes connections whose request head stays incomplete; a mixin before one of uvicorn's two protocols.

    ``cycle``, ``loop`` and ``transport`` are uvicorn's names.
    """

    cycle: Any
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the timer of a new connection."""
        super().connection_made(transport)
        self._last_cycle: object = None
        self._timer = self.loop.call_later(HEAD_SECONDS, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, in the error shape of all routes."""
        answer = ApiError("Malformed", msg).to_response()
        headers = [*answer.raw_headers, (b"connection", b"close")]
        lines = [b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()

    def _check(self) -> None:
        # No new request since the last check: the client is in the middle of a head. uvicorn closes idle ones earlier.
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self._last_cycle is self.cycle:
            self.transport.close()
            return
        self._last_cycle = self.cycle
        self._timer = self.loop.call_later(HEAD_SECONDS, self._check)


def choose_protocol() -> type[asyncio.Protocol]:
    """Return uvicorn's faster protocol if its parser is installed, with a timeout for heads."""
    fast = find_spec("httptools") is not None
    module, name = ("httptools_impl", "HttpToolsProtocol") if fast else ("h11_impl", "H11Protocol")
    base = getattr(import_module(f"uvicorn.protocols.http.{module}"), name)
    return type("Protocol", (HeadTimeout, base), {})


log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
BACKLOG = 2048
SEND_SECONDS = 5  # in which clients must read their answers after the last one is ready


class Server(uvicorn.Server):
    """uvicorn with a callback when it accepts requests, and without its signal handlers."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept requests."""
        await super().startup(sockets)
        self._announce()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: :func:`run` handles them."""
        yield


def bind_socket(host: str, port: int) -> socket.socket:
    """Bind a socket to an address; it accepts connections only when the server runs.

    Raises:
        InputError: the address is not available.
    """
    bound = None
    try:
        if not 0 <= port <= 65535:  # getaddrinfo takes the port modulo 65536
            raise OverflowError("a port is a number from 0 to 65535")
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # A name such as localhost may have several addresses; clients that try only one of them try IPv4.
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        if bound is not None:
            bound.close()
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot listen on {host}:{port} ({why}); choose another --port, or stop the program that listens there"
        ) from error
    return bound


def server_url(bound: socket.socket) -> str:
    """Return the address to open in a browser."""
    host, port = bound.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def uvicorn_config(app: ASGIApp) -> uvicorn.Config:
    """Return uvicorn's settings for this application."""
    return uvicorn.Config(
        app,
        http=choose_protocol(),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # the client's address is not used
        backlog=BACKLOG,
        timeout_graceful_shutdown=SEND_SECONDS,
    )


def run(service: Service, app: ASGIApp, bound: socket.socket, announce: Callable[[], None]) -> bool:
    """Serve until SIGINT or SIGTERM, then finish the accepted requests; return whether all were finished.

    ``announce`` is called when requests are accepted. A second signal ends the process at once.

    Raises:
        BackendFailure: the engine does not start.
    """
    loop = import_module("uvloop").new_event_loop if find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_serve(service, app, bound, announce))


async def _serve(service: Service, app: ASGIApp, bound: socket.socket, announce: Callable[[], None]) -> bool:
    server = Server(uvicorn_config(app), announce)
    stop_requested = asyncio.Event()
    with _signal_handlers(stop_requested.set):
        await service.start()
        draining = asyncio.create_task(_drain(stop_requested, service, server))
        try:
            await server.serve(sockets=[bound])
            return await draining if stop_requested.is_set() else await service.stop()
        finally:
            draining.cancel()


async def _drain(stop_requested: asyncio.Event, service: Service, server: uvicorn.Server) -> bool:
    """Finish the accepted requests; until then the server still answers new ones, with 503."""
    await stop_requested.wait()
    log.info("stopping: accepted requests are finished")
    try:
        return await service.stop()
    finally:
        server.should_exit = True


@contextmanager
def _signal_handlers(on_signal: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    received = list[int]()

    def handle(number: int, frame: object) -> None:
        if received:
            os._exit(128 + number)  # a second signal: do not wait for threads
        received.append(number)
        loop.call_soon_threadsafe(on_signal)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
