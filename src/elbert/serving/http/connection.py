"""A client's connection: uvicorn's protocol, with bounds on what a client may send, withhold or leave unread.

A head is parsed when all of it has arrived, and the next request when the last one is answered. So a connection keeps
at most one head, one body and ``MAX_AHEAD`` bytes, and reads on while a request is in progress: a client that
disconnects is noticed whatever it sent ahead.
"""

from __future__ import annotations

import socket
import struct
from asyncio import BaseTransport, TimerHandle, Transport
from typing import Any

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from elbert.serving.http.errors import ApiError, log_failure
from elbert.serving.http.heads import END, MAX_HEAD, NO_HTTP, RETURN, HeadScanner, prepare_head
from elbert.serving.settings import HttpSettings

MAX_AHEAD = 65_536  # bytes that a client may send behind a request that is not answered yet
MIN_READ = 16_384  # bytes of an answer that a client must read in ``head_seconds``
MAX_CHUNKS = 16_384  # of a body: each costs as much as many bytes
PART = 65_536  # bytes of a chunked body that are parsed at once
PROBE_SECONDS = 0.25  # between checks whether a client that sends no more still reads
LINGER_SECONDS = 1.0  # in which a client can read why it is disconnected
DRAIN_SECONDS = 0.25  # in which a request that is on its way is still answered at the end
NO_LINGER = struct.pack("ii", 1, 0)
SPARE_DESCRIPTORS = 64  # of the process, which are not for connections

NOTHING = b""
STATUS_PREFIX = b"HTTP/1.1 "  # of every answer


class ServerConfig(uvicorn.Config):
    """uvicorn's settings, and what its connections need besides."""

    def __init__(self, app: ASGIApp, limits: HttpSettings, **options: Any) -> None:
        super().__init__(app, http=Connection, **options)
        self.limits = limits
        self.max_connections = min(limits.max_connections, max(1, count_descriptors() - SPARE_DESCRIPTORS))
        self.is_draining = False  # then every answer ends its connection


# What a connection is in the middle of; plain numbers, which are compared several times a request.
HEAD, BODY, ANSWER, REJECTED = range(4)


class Connection(HttpToolsProtocol):
    """One connection. ``cycle``, ``flow``, ``headers``, ``loop``, ``parser``, ``transport`` are uvicorn's names."""

    config: ServerConfig

    def connection_made(self, transport: BaseTransport) -> None:
        """Start the timer of a new connection; if there are too many, disconnect the one that is idle for longest."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._phase = HEAD
        self._unparsed: bytes | bytearray = NOTHING
        self._heads = HeadScanner()
        self._body_left: int | None = 0  # None: chunked
        self._framing = 0  # bytes since the last byte of a body, or since its head
        self._chunks = 0
        self._is_half_closed = False
        self._probe_timer: TimerHandle | None = None
        self.waits_since: float | None = self.loop.time()  # for the client; None while the server works
        self._unread, self._unread_since, self._has_read = 0, 0.0, False
        self._timer = self.loop.call_later(self.config.limits.head_seconds, self._check)
        if len(self.connections) > self.config.max_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._timer.cancel()
        if self._probe_timer is not None:
            self._probe_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, or keep it until the request before it is answered."""
        self._unset_keepalive_if_required()
        if self._phase == REJECTED:
            return
        if self._phase == ANSWER:
            if self.cycle.keep_alive:
                self._unparsed = self._unparsed + data if self._unparsed else bytearray(data)
                self._bound_ahead()
            return
        if self._unparsed:
            self._unparsed += data
            self._parse(self._unparsed)
        else:
            self._parse(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection open for an answer in progress: the client may only have closed its own direction."""
        if self._phase != ANSWER:
            return False
        self._is_half_closed = True
        self._probe_timer = self.loop.call_later(PROBE_SECONDS, self._probe)
        return True

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answer."""
        super().pause_writing()
        if self.waits_since is None:
            self.waits_since = self.loop.time()

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        super().resume_writing()
        self._has_read = True
        if self._phase == ANSWER:
            self.waits_since = None

    def begin_drain(self) -> None:
        """End the connection with the answer in progress, if there is one."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """End the connection after the answer in progress, or soon."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            # In two steps: between them the loop reads what came while a busy machine did not run this process.
            self.loop.call_later(DRAIN_SECONDS / 2, self.loop.call_later, DRAIN_SECONDS / 2, self._close_if_idle)

    def on_headers_complete(self) -> None:
        """Start to answer."""
        super().on_headers_complete()  # fails for an address that cannot be parsed
        self._phase = BODY
        self._framing = self._chunks = 0
        self._body_left = _body_length(self.headers)
        self.headers = []  # of a trailer, whose fields are not headers (RFC 9110, 6.5.1)
        if self.config.is_draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._framing = 0
        self._chunks += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Parse no further until the request is answered."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self._await_head()
        else:
            self._phase = ANSWER
            if not self.flow.write_paused:
                self.waits_since = None

    def on_response_complete(self) -> None:
        """Parse the next request if it has already arrived."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._phase == BODY:  # answered without its body, which is skipped
            self.waits_since = self.loop.time()
            return
        self._await_head()
        if self._unparsed:
            self._unset_keepalive_if_required()
            self._parse(self._unparsed)
        if self._is_half_closed and self._phase != ANSWER:
            self.transport.close()

    def _await_head(self) -> None:
        self._phase = HEAD
        self.waits_since = self.loop.time()

    def _parse(self, data: bytes | bytearray) -> None:
        """Parse up to the end of a request, and keep the rest."""
        try:
            at = self._parse_request(data)
        except ApiError as error:
            self._reject(error)
            return
        if at == len(data):
            self._unparsed = NOTHING
        elif at or data is not self._unparsed:
            self._unparsed = bytearray(data[at:])
        if self._phase == ANSWER:
            self._bound_ahead()

    def _parse_request(self, data: bytes | bytearray) -> int:
        """Return where parsing ended.

        Raises:
            ApiError: it is not HTTP, or it exceeds a bound.
        """
        at, size = 0, len(data)
        while at < size and self._phase <= BODY:
            if self._phase == HEAD:
                if data[at] == RETURN:
                    at = self._heads.skip_blank_lines(data, at)
                end = self._heads.find_end(data, at)
                if end > at:
                    self._feed(prepare_head(data[at:end]))
            elif self._body_left is None:
                end = self._part_end(data, at)
                self._feed(data[at:end])
            else:
                end = min(size, at + self._body_left)
                self._body_left -= end - at
                self._feed(data[at:end])
            if end <= at:
                break
            at = end
        return at

    def _bound_ahead(self) -> None:
        if len(self._unparsed) > MAX_AHEAD:  # answer this request only; the client may repeat the others
            self._unparsed = NOTHING
            self.cycle.keep_alive = False

    def _part_end(self, data: bytes | bytearray, at: int) -> int:
        """Return where a part of a chunked body ends; no part has the end of one request and the start of another.

        Raises:
            ApiError: it has too many chunks, or too much beside its content.
        """
        if self._framing > MAX_HEAD:
            raise ApiError("Malformed", f"more than {MAX_HEAD:,} bytes between two parts of the body, or behind it")
        if self._chunks > MAX_CHUNKS:
            raise ApiError("Malformed", f"more than {MAX_CHUNKS:,} chunks in a body")
        found = data.find(END, at, at + PART)
        end = found + len(END) if found >= 0 else min(len(data), at + PART)
        if found < 0:  # its first bytes may be the last of this part
            end -= next(size for size in (3, 2, 1, 0) if data[at:end].endswith(END[:size]))
        self._framing += end - at
        return end

    def _feed(self, part: bytes | bytearray) -> None:
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            raise ApiError("Malformed", "CONNECT is for proxies") from None
        except httptools.HttpParserError as error:
            cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else error
            if not isinstance(cause, httptools.HttpParserError):  # such as a MemoryError: no fault of the client
                raise log_failure(cause) from None
            raise ApiError("Malformed", NO_HTTP) from None

    def _reject(self, error: ApiError) -> None:
        """Answer outside of the application, read no more, and disconnect when the client had time to read it."""
        is_answered = self._phase == BODY and self.cycle.response_complete
        self._phase = REJECTED
        self._unparsed = NOTHING
        self.waits_since = self.loop.time()
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if is_answering and self.cycle.response_started:
            self.transport.close()
            return
        if not is_answered:
            error.headers["connection"] = "close"
            answer = error.to_response()
            lines = [STATUS_PREFIX + REASONS[error.kind], *(name + b": " + value for name, value in answer.raw_headers)]
            self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.write_eof()
        self._timer.cancel()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _make_room(self) -> None:
        """Disconnect the client that this server has waited for longest, or reject this one."""
        waiting = [
            (one.waits_since, id(one), one)
            for one in self.connections
            if isinstance(one, Connection)
            and one is not self
            and one.waits_since is not None
            and not one.transport.is_closing()
        ]
        if waiting:
            min(waiting)[-1]._reset()
        else:
            message = "too many connections (--max-connections); try again"
            self._reject(ApiError("Overloaded", message, {"retry-after": "1"}))

    def _check(self) -> None:
        """Disconnect a client that does not complete a head, or does not read an answer."""
        now, limit = self.loop.time(), self.config.limits.head_seconds
        next_check = limit
        unread = self.transport.get_write_buffer_size()
        if unread:
            is_due = self._unread > 0 and now >= self._unread_since + limit
            if is_due and not self._has_read and self._unread - MIN_READ < unread <= self._unread:
                self._reset()
                return
            if is_due or not self._unread:
                self._unread, self._unread_since, self._has_read = unread, now, False
        elif self.waits_since is not None and (self._phase != BODY or self.cycle.response_complete):
            # The body of a request that is not answered has a time limit of its own.
            next_check = self.waits_since + limit - now
            if next_check <= 0:
                self.transport.abort()
                return
        if not unread:
            self._unread = 0
        self._timer = self.loop.call_later(next_check, self._check)

    def _probe(self) -> None:
        """Find out whether a client that sends no more still reads.

        A closed connection and a half-closed one look the same, until something is sent: the system of a client that
        has closed answers with a reset. What is sent is the beginning of the answer, which all answers share, byte by
        byte, each after twice the time: so a client is noticed that closes later.
        """
        if self._phase != ANSWER or self.transport.is_closing():
            return
        place = self.transport.get_extra_info("socket")
        if place is not None and place.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
            return
        if not self.cycle.response_started:
            probed: Any = self.cycle.transport
            if not isinstance(probed, ProbedTransport):
                probed = self.cycle.transport = ProbedTransport(self.transport)  # type: ignore[assignment]
            probed.probe()
        self._probe_timer = self.loop.call_later(PROBE_SECONDS, self._probe)

    def _reset(self) -> None:
        """Disconnect at once: the system drops what the client has not read, too."""
        place = self.transport.get_extra_info("socket")
        if place is not None:
            place.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


REASONS = {
    "Malformed": b"400 Bad Request",
    "Overloaded": b"429 Too Many Requests",
    "HeaderTooLarge": b"431 Request Header Fields Too Large",
    "Internal": b"500 Internal Server Error",
}


class ProbedTransport:
    """The transport of an answer that began with bytes of ``STATUS_PREFIX``, sent ahead by :meth:`probe`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._calls = self._written = 0
        self.close = transport.close
        self.is_closing = transport.is_closing

    def probe(self) -> None:
        """Send one byte more at the first call, the second, the fourth, …, as long as there are some."""
        self._calls += 1
        if self._calls == 1 << self._written < 1 << len(STATUS_PREFIX):
            self._transport.write(STATUS_PREFIX[self._written : self._written + 1])
            self._written += 1

    def write(self, data: bytes) -> None:
        """Write a part of the answer; the first one begins with the prefix."""
        self._transport.write(data[self._written :])
        self._written = 0


def count_descriptors() -> int:
    """Return how many files and sockets this process may have open."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 2**31
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if limit == resource.RLIM_INFINITY else limit


def _body_length(headers: list[tuple[bytes, bytes]]) -> int | None:
    """Return the length of a body; None for a chunked one. The parser has rejected heads with both."""
    for name, value in headers:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0
