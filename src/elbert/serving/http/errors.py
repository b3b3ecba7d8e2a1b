"""Error answers: every answer without a prediction is a status and JSON with ``error`` and ``error_type``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from math import ceil

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from elbert.errors import BundleError, ElbertError, InputError, PolicyError
from elbert.serving.errors import BackendFailure, NotReady, Overloaded, TokenizerFailure

log = logging.getLogger(__name__)
STATUS = {
    "Malformed": 400,
    "Empty": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "Timeout": 408,
    "PayloadTooLarge": 413,
    "UnsupportedMediaType": 415,
    "Validation": 422,
    "Tokenizer": 422,
    "Backend": 424,
    "Overloaded": 429,
    "HeaderTooLarge": 431,
    "Internal": 500,
    "Unhealthy": 503,
}
MAX_MESSAGE = 500  # characters: a message may quote what a client sent


class Error(msgspec.Struct):
    """The body of every error: one line for people, and a name for programs."""

    error: str
    error_type: str


class ApiError(ElbertError):
    """The request is answered with an error of this ``kind``, a key of ``STATUS``."""

    def __init__(self, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status of its kind."""
        return STATUS[self.kind]

    def to_response(self) -> Response:
        """Return the answer: status, headers, and an :class:`Error` as JSON."""
        body = msgspec.json.encode(Error(one_line(str(self)), self.kind))
        return Response(body, self.status, self.headers, "application/json")


def to_api_error(error: ElbertError) -> ApiError:
    """Convert an error of the service to the error that the client gets."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Overloaded):
        return ApiError("Overloaded", str(error), {"retry-after": str(max(1, ceil(error.retry_after)))})
    return ApiError(error_kind(error), str(error))


def log_failure(error: BaseException | None) -> ApiError:
    """Log a fault of the server, and return the error that the client gets: it names no detail."""
    log.error("the server failed on a request", exc_info=error)
    return ApiError("Internal", "the server failed on this request; see the server's log")


def to_routing_error(error: HTTPException, path: str) -> ApiError:
    """Convert Starlette's errors for a path or a method that has no route."""
    if error.status_code != 405:
        return ApiError("NotFound", f"no route {path!a:.80}; /docs lists all routes")
    # Starlette keeps methods in a set, whose order differs from run to run.
    allowed = ", ".join(sorted((error.headers or {})["Allow"].split(", ")))
    return ApiError("MethodNotAllowed", f"{path!a:.80} has another method, expected {allowed}", {"allow": allowed})


def error_kind(error: ElbertError) -> str:
    """Return the key of ``STATUS`` for an error of the service, or of one text."""
    if isinstance(error, ApiError):
        return error.kind
    if isinstance(error, Overloaded):
        return "Overloaded"
    if isinstance(error, NotReady):
        return "Unhealthy"
    if isinstance(error, TokenizerFailure):
        return "Tokenizer"
    # The backend's own errors first: some of them are input errors too.
    if isinstance(error, BackendFailure) or not isinstance(error, InputError | PolicyError | BundleError):
        return "Backend"
    return "Validation"


def one_line(message: str) -> str:
    """Return a message as one line of printable characters, at most ``MAX_MESSAGE``, that any JSON reader takes."""
    line = " ".join(message.split())
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return shown if len(shown) <= MAX_MESSAGE else f"{shown[: MAX_MESSAGE - 1]}…"
