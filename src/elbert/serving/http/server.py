"""Run uvicorn around the application, from the first request to a clean shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from errno import EADDRNOTAVAIL
from importlib import import_module
from importlib.util import find_spec
from ipaddress import ip_address

import uvicorn
from starlette.types import ASGIApp

from elbert.errors import InputError
from elbert.serving.http.connection import Connection, ServerConfig
from elbert.serving.service import Service
from elbert.serving.settings import HttpSettings

log = logging.getLogger(__name__)

# The one that a closed terminal sends is not on every system.
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
BACKLOG = 2048
# Waiting connections are accepted at the end; a closed socket would reset them. In steps, because a busy machine may
# run this process again after the time of one has passed, and the loop would then close before it accepts.
ACCEPT_STEPS, ACCEPT_SECONDS = 5, 0.01
SEND_SECONDS = 5  # in which clients must read their answers after the last one is ready


class Server(uvicorn.Server):
    """uvicorn with a callback when it accepts requests, and without its signal handlers."""

    def __init__(self, config: ServerConfig, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._config = config
        self._announce = announce

    def begin_drain(self) -> None:
        """End each connection with its next answer, so that clients send what follows to another server."""
        self._config.is_draining = True
        for connection in self.server_state.connections:
            if isinstance(connection, Connection):
                connection.begin_drain()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept requests."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections that wait to be accepted, then no more; the rest as uvicorn does."""
        for bound in sockets or ():
            bound.listen(0)
        for _ in range(ACCEPT_STEPS):
            await asyncio.sleep(ACCEPT_SECONDS)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: :func:`run` handles them."""
        yield


def bind_socket(host: str, port: int, sources: Mapping[str, str] | None = None) -> socket.socket:
    """Bind a socket to an address; it accepts connections only when the server runs.

    ``sources`` has the environment variables that ``hostname`` and ``port`` come from, where they are no flags.

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
        source = {"hostname": "--hostname", "port": "--port", **(sources or {})}
        remedy = f"choose another {source['port']}, or stop the program that listens there"
        if isinstance(error, socket.gaierror | UnicodeError) or getattr(error, "errno", None) == EADDRNOTAVAIL:
            remedy = f"{source['hostname']} is no address of this machine"
        raise InputError(f"cannot listen on {host}:{port} ({why}); {remedy}") from error
    return bound


def is_loopback(bound: socket.socket) -> bool:
    """Whether only programs of this machine can reach a socket."""
    return ip_address(bound.getsockname()[0]).is_loopback


def server_url(bound: socket.socket) -> str:
    """Return the address to open in a browser."""
    host, port = bound.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def server_config(app: ASGIApp, limits: HttpSettings | None = None) -> ServerConfig:
    """Return uvicorn's settings for this application."""
    return ServerConfig(
        app,
        HttpSettings() if limits is None else limits,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # the client's address is not used
        backlog=BACKLOG,
        timeout_graceful_shutdown=SEND_SECONDS,
    )


def run(
    service: Service,
    app: ASGIApp,
    bound: socket.socket,
    announce: Callable[[], None],
    limits: HttpSettings | None = None,
) -> bool:
    """Serve until a signal, then finish the accepted requests; return whether all were finished.

    ``announce`` is called when requests are accepted. A second signal ends the process at once.

    Raises:
        BackendFailure: the engine does not start.
    """
    loop = import_module("uvloop").new_event_loop if find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_serve(service, Server(server_config(app, limits), announce), bound))


async def _serve(service: Service, server: Server, bound: socket.socket) -> bool:
    stop_requested = asyncio.Event()
    with _signal_handlers(stop_requested.set):
        await service.start()
        draining = asyncio.create_task(_drain(stop_requested, service, server))
        try:
            await server.serve(sockets=[bound])
            return await draining if stop_requested.is_set() else await service.stop()
        finally:
            draining.cancel()


async def _drain(stop_requested: asyncio.Event, service: Service, server: Server) -> bool:
    """Finish the accepted requests; until then the server still answers new ones, with 503."""
    await stop_requested.wait()
    server.begin_drain()
    log.info("stopping: accepted requests are finished")
    try:
        return await service.stop()
    finally:
        server.should_exit = True


def _is_ignored_hangup(number: int) -> bool:
    """Whether the signal is that of a closed terminal, and ``nohup`` has it ignored."""
    return number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def _signal_handlers(on_signal: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    received = list[int]()

    def handle(number: int, frame: object) -> None:
        if received:
            os._exit(128 + number)  # a second signal: do not wait for threads
        received.append(number)
        loop.call_soon_threadsafe(on_signal)

    before = {number: signal.signal(number, handle) for number in SIGNALS if not _is_ignored_hangup(number)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
