"""Middleware: request ids, host and API key checks, CORS, disconnected clients, errors turned into answers."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from asyncio import CancelledError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import getrandbits
from types import TracebackType
from typing import Self

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from elbert.errors import ElbertError
from elbert.serving.http.api_keys import ApiKeys
from elbert.serving.http.errors import ApiError, log_failure, to_api_error
from elbert.serving.http.logs import ACCESS, FIELDS
from elbert.serving.results import TextResult

access_log = logging.getLogger(ACCESS)


class ClientDisconnected(Exception):
    """The client has closed the connection; no answer can be sent."""


class DisconnectWatch:
    """While inside, the task that waits is cancelled when the client disconnects.

    >>> async with DisconnectWatch(receive):  # raises ClientDisconnected
    ...     await the_answer

    For after the body has been read: then only the disconnection can still arrive.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._disconnected = False

    async def __aenter__(self) -> Self:
        """Start to watch."""
        self._waiting = asyncio.current_task()
        self._watch = asyncio.create_task(self._wait_for_disconnect())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching.

        Raises:
            ClientDisconnected: the client disconnected.
        """
        self._watch.cancel()
        if self._disconnected and self._waiting is not None:
            others = self._waiting.uncancel()  # other reasons to end this task, such as a server that stops
            if not others and (kind is None or issubclass(kind, asyncio.CancelledError)):
                raise ClientDisconnected from error

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._disconnected = True
        if self._waiting is not None:
            self._waiting.cancel()


EXCHANGE = "elbert.exchange"  # its key in the scope


@dataclass(frozen=True)
class Durations:
    """Seconds, each the mean over a request's texts: tokenising, waiting for the first layer call, layer calls."""

    tokenise: float = 0.0
    queue: float = 0.0
    inference: float = 0.0

    @classmethod
    def mean(cls, items: Sequence[TextResult]) -> Durations:
        """Average the timings of all items; zeros without any."""
        n, tokenise, queue, inference = max(len(items), 1), 0.0, 0.0, 0.0
        for item in items:
            tokenise += item.timings.tokenise
            queue += item.timings.queue
            inference += item.timings.inference
        return cls(tokenise / n, queue / n, inference / n)


@dataclass
class Exchange:
    """One request and its answer, for metrics and the log.

    ``error`` is an error's kind; ``status`` 0 is no answer; ``began`` is on the clock ``time.perf_counter``;
    ``classifies`` is true for routes that classify, ``batch`` where the request is a batch in TEI's sense; ``key`` is
    the name of the client's API key, ``model`` that of the model that the request reached.
    """

    request_id: str
    route: str = ""
    method: str = ""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    classifies: bool = False
    batch: bool = False
    texts: int = 0
    characters: int = 0
    items: Sequence[TextResult] = ()
    durations: Durations = field(default_factory=Durations)
    status: int = 0
    error: str | None = None
    key: str | None = None
    model: str | None = None
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since the request arrived."""
        return time.perf_counter() - self.began

    def header(self, name: bytes) -> str:
        """Return a header of the request, empty without it; a dictionary is several times faster than ``Headers``."""
        return self.headers.get(name, b"").decode("latin-1")

    def record(self, items: Sequence[TextResult]) -> None:
        """Keep the results of the request's texts."""
        self.items = items
        self.durations = Durations.mean(items)


def exchange_of(scope: Scope) -> Exchange:
    """Return the exchange of a request that :class:`RequestMiddleware` has let in."""
    exchange: Exchange = scope[EXCHANGE]
    return exchange


_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)
_HOST = re.compile(r"(?P<name>[^:\[\]]+|\[[^\]]*\])(:\d+)?", re.ASCII)
# A name without a dot is none of the internet's, so no page there can have it.
_LOCAL_NAME = re.compile(r"127(\.\d{1,3}){3}|\[::1\]|[^.:\[\]]+", re.ASCII)


def choose_request_id(sent: str) -> str:
    """Return the client's own id if it is safe to log, else a new one."""
    # An id need not be hard to guess, and the system's randomness costs a wait for the interpreter.
    return sent if _REQUEST_ID.fullmatch(sent) else f"{getrandbits(64):016x}"


class RequestMiddleware:
    """Gives each request an id, checks host and key, turns errors into answers, and reports the exchange.

    ``open_paths`` need no key, since probes and browsers cannot send one; nor does the page at ``GET /``.
    With ``allowed_hosts`` a request must name one of them, or this machine, as its host. A page of another origin
    can point its own name at 127.0.0.1 (DNS rebinding) and read what is served there; it cannot hide that name.
    Starlette's ``TrustedHostMiddleware`` answers in plain text and cannot accept all of 127.0.0.0/8, so the check is
    here.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: ApiKeys | None,
        open_paths: frozenset[str],
        allowed_hosts: frozenset[str] | None,
        on_end: Sequence[Callable[[Exchange], None]],
    ) -> None:
        self._app = app
        self._keys = keys
        self._open_paths = open_paths
        self._hosts = None if allowed_hosts is None else frozenset(map(str.lower, allowed_hosts))
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, once."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        request_id = choose_request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        exchange = scope[EXCHANGE] = Exchange(request_id, scope["path"], scope["method"], headers)
        id_header = (b"x-request-id", request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", ()), id_header]
            await send(message)

        try:
            if self._hosts is not None:
                _check_host(scope, self._hosts)
            if self._keys is not None:
                self._check_key(exchange, self._keys)
            await self._app(scope, receive, send_with_id)
        except ClientDisconnected:
            exchange.error = "ClientDisconnected"
        except BaseException as error:
            answer = _answer_error(error)
            exchange.error = answer.kind
            if exchange.status:  # the answer has begun: to break off is the only way to show that it is incomplete
                raise
            await answer.to_response()(scope, receive, send_with_id)
        finally:
            for callback in self._on_end:
                callback(exchange)
        return None

    def _check_key(self, exchange: Exchange, keys: ApiKeys) -> None:
        if exchange.route in self._open_paths or (exchange.route == "/" and exchange.method in ("GET", "HEAD")):
            return
        sent = exchange.headers.get(b"authorization", b"").strip()
        exchange.key = keys.find_name(sent)
        if exchange.key is None:
            message = f"{'wrong' if sent else 'no'} API key; expected the header Authorization: Bearer KEY"
            raise ApiError("Unauthorized", message, {"www-authenticate": "Bearer"})


def _check_host(scope: Scope, allowed: frozenset[str]) -> None:
    hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
    if not hosts:  # not a browser, which always sends it
        return
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if found is None or not (_LOCAL_NAME.fullmatch(found["name"]) or found["name"] in allowed):
        raise ApiError(
            "Forbidden",
            f"the host {hosts[-1]!a:.80} is no name of this machine; call it 127.0.0.1 or localhost, or add the name "
            "with elbert serve --allowed-host NAME",
        )


def _answer_error(error: BaseException) -> ApiError:
    if isinstance(error, ElbertError):
        return to_api_error(error)
    if isinstance(error, CancelledError | KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error
    return log_failure(error)


EXPOSED_HEADERS = (
    "retry-after",
    "x-elbert-operating-point",
    "x-request-id",
    "x-total-time",
    "x-queue-time",
    "x-inference-time",
)


class CorsMiddleware(CORSMiddleware):
    """Starlette's CORS, with this server's error shape; outermost, so that pages can read errors too."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=[origin.rstrip("/") for origin in origins],
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a browser's question before a call: 204, or 403 in JSON."""
        response = super().preflight_response(request_headers)
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        if response.status_code < 400:
            return Response(None, 204, headers)
        message = "a page of this origin may not make this call; add its origin with elbert serve --cors-allow-origin"
        return ApiError("Forbidden", message, headers).to_response()


def log_exchange(exchange: Exchange) -> None:
    """Log one line about a request that has ended."""
    if not access_log.isEnabledFor(logging.INFO):
        return
    depths = [item.prediction.depth for item in exchange.items if item.prediction is not None]
    fields = {
        "request_id": exchange.request_id,
        "route": exchange.route[:200],
        "method": exchange.method,
        "model": exchange.model,
        "key": exchange.key,
        "status": exchange.status or None,  # null: the client disconnected first
        "error_type": exchange.error,
        "ms": round(exchange.seconds * 1000, 3),
        "texts": exchange.texts,
        "tokens": sum(item.tokens for item in exchange.items),
        "depths": depths,
    }
    access_log.info("request", extra={FIELDS: fields})
