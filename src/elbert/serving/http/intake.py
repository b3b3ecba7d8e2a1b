"""Intake: bodies as they come from strangers, bounded in size, depth and time."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.requests import Request

from elbert.serving.http.errors import Refusal
from elbert.serving.http.middleware import Gone

AT_ONCE = 64  # bodies of the largest size that may be in memory unread


class Intake:
    """Reads bodies of at most ``limit`` bytes, each within ``seconds``. JSON is at most 1,024 deep (orjson's limit)."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._held = 0

    async def json(self, request: Request) -> Any:
        """The JSON of a request.

        Raises:
            Refusal: it is no JSON, not said to be, too large, or too slow.
            Gone: the client went away.
        """
        said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        # A page from elsewhere can make a browser post a form here, but not this.
        if said != "application/json" and not (said.startswith("application/") and said.endswith("+json")):
            message = f"content-type is {said or 'unsaid'!r:.80}, expected application/json"
            raise Refusal("UnsupportedMediaType", message)
        body = await self._body(request)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Refusal("Malformed", f"the body is not JSON: {error}") from None

    async def _body(self, request: Request) -> bytearray:
        declared = request.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > self._limit:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                while await self._more(request, body):
                    pass
        except TimeoutError:
            message = f"the body did not come within {self._seconds:g} s"
            raise Refusal("Timeout", message, {"connection": "close"}) from None
        finally:
            self._held -= len(body)
        return body

    async def _more(self, request: Request, body: bytearray) -> bool:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Gone
        piece = message.get("body", b"")
        body += piece
        self._held += len(piece)
        if len(body) > self._limit:
            raise self._too_large()
        if self._held > AT_ONCE * self._limit:
            raise Refusal("Overloaded", "too many bodies are coming in at once", {"retry-after": "1"})
        return bool(message.get("more_body"))

    def _too_large(self) -> Refusal:
        return Refusal("PayloadTooLarge", f"the body is larger than {self._limit:,} bytes (--payload-limit)")
