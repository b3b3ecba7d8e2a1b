"""The routes that classify: from a body to rows under way, and back."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from elbert.serving.http import hugging_face, ours, tei
from elbert.serving.http.errors import refusal
from elbert.serving.http.given import Wanted
from elbert.serving.http.headers import header_text, headers
from elbert.serving.http.intake import Intake
from elbert.serving.http.middleware import Presence, exchange_of
from elbert.serving.http.scoring import Scoring, ranked
from elbert.serving.http.settings import HttpSettings
from elbert.serving.http.stream import NDJSON, Stream
from elbert.serving.http.taking import characters, cut
from elbert.serving.results import Answers, Item
from elbert.serving.service import Service

JSON = "application/json"


class Classify:
    """A handler for each shape."""

    def __init__(self, service: Service, settings: HttpSettings, scoring: Scoring) -> None:
        self.most = service.settings.max_client_batch_size
        self.intake = Intake(settings.payload_limit, settings.body_seconds)
        self._service = service
        self._settings = settings
        self._scoring = scoring

    async def predict(self, request: Request) -> Response:
        """``POST /predict``."""
        return await self._ranked(request, tei.wanted(await self.json(request), self.most), self._scoring.tei)

    async def root(self, request: Request) -> Response:
        """``POST /`` and ``/invocations``: Hugging Face's shape where there are parameters, TEI's where not."""
        given = await self.json(request)
        if hugging_face.is_one(given):
            wanted, function = hugging_face.wanted(given, self.most), self._scoring.hugging_face
        else:
            wanted, function = tei.wanted(given, self.most), self._scoring.tei
        return await self._ranked(request, wanted, function)

    async def ours(self, request: Request) -> Response:
        """``POST /v1/classify``; as lines of JSON for who accepts those."""
        wanted = ours.wanted(await self.json(request), self.most)
        if NDJSON in request.headers.get("accept", "").lower():
            async with Presence(request.receive):
                return Stream(await self.take(request, wanted), wanted)
        items = await self.items(request, wanted)
        body = orjson.dumps(ours.answer(self._settings.name, items, wanted))
        return Response(body, 200, {"x-elbert-operating-point": header_text(items[0].point)}, JSON)

    async def items(self, request: Request, wanted: Wanted, *, raw: bool = False) -> list[Item]:
        """What comes of each text, in order.

        Raises:
            ElbertError: the request is not taken.
            Gone: the client went away, and its rows with it.
        """
        async with Presence(request.receive), await self.take(request, wanted, raw=raw) as answers:
            items = await answers.all()
        exchange_of(request.scope).answered(items)
        return items

    async def take(self, request: Request, wanted: Wanted, *, raw: bool = False) -> Answers:
        """Hand a request in.

        Raises:
            ElbertError: it is not taken.
        """
        truncate = self._settings.auto_truncate if wanted.truncate is None else wanted.truncate
        exchange = exchange_of(request.scope)
        exchange.batch, exchange.texts = wanted.nested, len(wanted.texts)
        exchange.characters = sum(map(characters, wanted.texts))
        texts = cut(wanted.texts, self._service.classifier.tokeniser.max_length, wanted.direction, truncate=truncate)
        return await self._service.classify(
            texts,
            policy=wanted.policy,
            deadline_ms=wanted.deadline_ms,
            trace=wanted.trace,
            truncate=truncate,
            direction=wanted.direction,
            raw=raw,
        )

    async def json(self, request: Request) -> Any:
        """The body of a request to classify.

        Raises:
            Refusal: there is none.
        """
        exchange_of(request.scope).classifies = True
        return await self.intake.json(request)

    async def _ranked(self, request: Request, wanted: Wanted, usual: str) -> Response:
        function = wanted.function or usual
        items = await self.items(request, wanted, raw=self._scoring.needs_logits(function))
        for item in items:
            if item.error is not None:
                raise refusal(item.error)
        told = [ranked(self._scoring.scores(item, function), wanted.top_k) for item in items]
        exchange = exchange_of(request.scope)
        body = orjson.dumps(told if wanted.nested else told[0])
        head = headers(items, exchange.characters, exchange.seconds, exchange.durations)
        return Response(body, 200, head, JSON)
