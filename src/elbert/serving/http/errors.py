"""Refusals: every answer that is no prediction, as a status and JSON with ``error`` and ``error_type``."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import orjson
from starlette.responses import Response

from elbert.errors import BundleError, ElbertError, InputError, PolicyError
from elbert.serving.errors import BackendFailure, NotReady, Overloaded, TokeniserFailure

STATUS = {
    "Malformed": 400,
    "Empty": 400,
    "Unauthorized": 401,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "Timeout": 408,
    "PayloadTooLarge": 413,
    "UnsupportedMediaType": 415,
    "Validation": 422,
    "Tokenizer": 422,
    "Backend": 424,
    "Overloaded": 429,
    "Internal": 500,
    "Unhealthy": 503,
}
LONGEST = 500  # characters of a message: it may quote what a stranger sent


class Refusal(ElbertError):
    """A request is answered with an error of this kind (a key of ``STATUS``)."""

    def __init__(self, kind: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.kind]

    def response(self) -> Response:
        """As an answer."""
        body = orjson.dumps({"error": one_line(str(self)), "error_type": self.kind})
        return Response(body, self.status, self.headers, "application/json")


def refusal(error: ElbertError) -> Refusal:
    """The refusal that an error of the service comes to."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Overloaded):
        return Refusal("Overloaded", str(error), {"retry-after": str(max(1, ceil(error.retry_after)))})
    return Refusal(kind(error), str(error))


def kind(error: ElbertError) -> str:
    """What an error of the service, or of one text, is called."""
    if isinstance(error, Refusal):
        return error.kind
    if isinstance(error, Overloaded):
        return "Overloaded"
    if isinstance(error, NotReady):
        return "Unhealthy"
    if isinstance(error, TokeniserFailure):
        return "Tokenizer"
    # The backend's own errors first: some of them are input errors too.
    if isinstance(error, BackendFailure) or not isinstance(error, InputError | PolicyError | BundleError):
        return "Backend"
    return "Validation"


def one_line(message: str) -> str:
    """A message as one line of printable characters that any JSON reader takes, and not a long one."""
    line = " ".join(message.split())
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
