"""Run uvicorn around the application, from the first request to a clean shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EADDRNOTAVAIL
from importlib import import_module
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from elbert.errors import InputError
from elbert.serving.http.connection import Connection, ServerConfig
from elbert.serving.settings import MAX_PORT, HttpSettings

log = logging.getLogger(__name__)

# The one that a closed terminal sends is not on every system.
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
BACKLOG = 2048
# Of what a client has not read, the system keeps this many bytes (Linux twice as many, and megabytes without a limit):
# so a client that sends requests and reads nothing has few answers made and little memory.
SEND_BUFFER = 131_072
# Waiting connections are accepted at the end; a closed socket would reset them. In steps, because a busy machine may
# run this process again after the time of one has passed, and the loop would then close before it accepts.
ACCEPT_STEPS, ACCEPT_SECONDS = 5, 0.01
SEND_SECONDS = 5  # in which clients must read their answers after the last one is ready


class Startable(Protocol):
    """A service, or several: what the server starts before its first request and stops after the last."""

    async def start(self) -> None:
        """Return when requests can be accepted."""

    async def stop(self) -> bool:
        """Finish the accepted requests; return whether all were finished."""


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
    source = {"hostname": "--hostname", "port": "--port", **(sources or {})}
    if not 0 <= port <= MAX_PORT:  # getaddrinfo takes the port modulo 65536
        raise InputError(f"{source['port']}: expected a whole number from 0 to {MAX_PORT}, got {port}")
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # A name such as localhost may have several addresses; clients that try only one of them try IPv4.
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # connections have it from here
        bound.bind(address)
    except (OSError, UnicodeError) as error:
        if bound is not None:
            bound.close()
        why = getattr(error, "strerror", None) or error
        remedy = f"choose another {source['port']}, or stop the program that listens there"
        if isinstance(error, socket.gaierror | UnicodeError) or getattr(error, "errno", None) == EADDRNOTAVAIL:
            remedy = f"{source['hostname']} is no address of this machine"
        raise InputError(f"cannot listen on {host}:{port} ({why}); {remedy}") from error
    return bound


@contextmanager
def bind_unix_socket(path: Path) -> Iterator[socket.socket]:
    """Bind a Unix socket; its file is removed at the end. One that another program left behind is replaced.

    Raises:
        InputError: the path is not available.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise InputError("--unix-socket: this system has no Unix sockets; use --hostname and --port")
    remedy = "choose another --unix-socket"
    if _has_listener(path):
        raise InputError(f"--unix-socket {path}: another program listens there; {remedy}, or stop it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        try:
            if path.is_socket():
                path.unlink()
            bound.bind(str(path))
            created = path.stat()
        except (OSError, ValueError) as error:  # a missing folder, a file, a path of more than about 100 bytes
            raise InputError(f"--unix-socket {path}: {getattr(error, 'strerror', None) or error}; {remedy}") from error
        try:
            yield bound
        finally:
            with suppress(OSError):
                if path.stat().st_ino == created.st_ino:
                    path.unlink()


def _has_listener(path: Path) -> bool:
    """Whether a program accepts connections on a Unix socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return path.is_socket() and probe.connect_ex(str(path)) == 0
    except (OSError, ValueError):  # no path of a socket: to bind it fails, with the reason
        return False


def is_loopback(bound: socket.socket) -> bool:
    """Whether programs of this machine, a browser among them, and no others can reach a socket by an address."""
    if bound.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    return ip_address(bound.getsockname()[0]).is_loopback


def server_url(bound: socket.socket) -> str:
    """Return the address to open in a browser, or the path of a Unix socket."""
    if bound.family not in (socket.AF_INET, socket.AF_INET6):
        return f"unix:{bound.getsockname()}"
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
    service: Startable,
    app: ASGIApp,
    bound: socket.socket,
    announce: Callable[[], None],
    limits: HttpSettings | None = None,
    on_hangup: Callable[[], None] | None = None,
) -> bool:
    """Serve until a signal, then finish the accepted requests; return whether all were finished.

    ``announce`` is called when requests are accepted, ``on_hangup`` on the event loop when SIGHUP arrives, unless it
    comes from the end of this process's terminal; without it, SIGHUP ends the server too. A second signal ends the
    process at once.

    Raises:
        BackendFailure: the engine does not start.
    """
    loop = import_module("uvloop").new_event_loop if find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_serve(service, Server(server_config(app, limits), announce), bound, on_hangup))


async def _serve(
    service: Startable, server: Server, bound: socket.socket, on_hangup: Callable[[], None] | None
) -> bool:
    stop_requested = asyncio.Event()
    with _signal_handlers(stop_requested.set, on_hangup):
        await service.start()
        draining = asyncio.create_task(_drain(stop_requested, service, server))
        try:
            await server.serve(sockets=[bound])
            return await draining if stop_requested.is_set() else await service.stop()
        finally:
            draining.cancel()


async def _drain(stop_requested: asyncio.Event, service: Startable, server: Server) -> bool:
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


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal; one that was closed is none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


@contextmanager
def _signal_handlers(on_signal: Callable[[], None], on_hangup: Callable[[], None] | None) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    received, had_terminal = list[int](), _has_terminal()

    def handle(number: int, frame: object) -> None:
        is_hangup = number not in (signal.SIGINT, signal.SIGTERM)
        if is_hangup and on_hangup is not None and not received and had_terminal <= _has_terminal():
            loop.call_soon_threadsafe(on_hangup)
            return
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
