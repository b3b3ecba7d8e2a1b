"""Items as lines of JSON, each sent as soon as it leaves."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from elbert.serving.http import ours
from elbert.serving.http.given import Wanted
from elbert.serving.http.headers import header_text
from elbert.serving.http.middleware import Presence, Receive, Scope, Send, exchange_of
from elbert.serving.results import Answers, Item

NDJSON = "application/x-ndjson"


class Stream(Response):
    """The answers of a request that was taken; who goes away frees the rows that are left."""

    def __init__(self, answers: Answers, wanted: Wanted) -> None:
        super().__init__(media_type=NDJSON)
        self._answers = answers
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        items = list[Item]()
        async with Presence(receive), self._answers:
            async for item in self._answers:
                if not items:  # the first tells under which point they run
                    await send({"type": "http.response.start", "status": 200, "headers": self._head(item)})
                items.append(item)
                line = orjson.dumps(ours.entry(item, self._wanted), option=orjson.OPT_APPEND_NEWLINE)
                await send({"type": "http.response.body", "body": line, "more_body": True})
            exchange_of(scope).answered(items)
            await send({"type": "http.response.body", "body": b""})

    def _head(self, first: Item) -> list[tuple[bytes, bytes]]:
        return [
            (b"content-type", NDJSON.encode()),
            (b"x-accel-buffering", b"no"),  # a proxy that collects lines first would spoil it
            (b"x-elbert-operating-point", header_text(first.point).encode()),
        ]
