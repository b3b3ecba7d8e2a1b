"""The explorer's routes, on Starlette."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from elbert.classifier import Classifier
from elbert.errors import ElbertError
from elbert.inference import predictions
from elbert.prediction import Prediction
from elbert.serving.explore_guard import Guard
from elbert.serving.explore_request import LONGEST, MOST_INPUTS, Wanted, wanted

LARGEST = 2 * MOST_INPUTS * LONGEST * 6  # bytes: pairs, every character written as \uXXXX
JSON = "application/json"


def application(
    classifier: Classifier, html: str, about: Mapping[str, Any], evaluation: Mapping[str, Any] | None
) -> Starlette:
    """The application around one classifier; ``about`` and ``evaluation`` are told as they are."""
    reader = _Reader(classifier)
    told = orjson.dumps(about)
    table = None if evaluation is None else orjson.dumps(evaluation, option=orjson.OPT_SERIALIZE_NUMPY)

    async def shown(request: Request) -> Response:
        return HTMLResponse(html)

    async def model(request: Request) -> Response:
        return Response(told, media_type=JSON)

    async def evaluated(request: Request) -> Response:
        if table is None:
            raise HTTPException(404, "no labelled texts are loaded; start with elbert explore --data FILE")
        return Response(table, media_type=JSON)

    async def classify(request: Request) -> Response:
        # A form on a page from elsewhere can post here, but not as JSON.
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != JSON:
            raise HTTPException(415, f"expected content-type {JSON}")
        return _json({"data": await run_in_threadpool(reader.read, wanted(await _body(request)))})

    return Starlette(
        routes=[
            Route("/", shown),
            Route("/explorer/model.json", model),
            Route("/explorer/evaluation.json", evaluated),
            Route("/v1/classify", classify, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, html=html)],
        exception_handlers={HTTPException: _refused, ElbertError: _refused},
    )


class _Reader:
    """The model, for one request at a time and off the event loop."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.alone = Lock()

    def read(self, asked: Wanted) -> list[dict[str, Any]]:
        """One entry per text, in order."""
        classifier = self.classifier
        policy = classifier.usable(asked.policy)
        tokens = classifier.tokeniser.encode(asked.texts)
        with self.alone:
            left = [
                answer
                for exits in classifier.exits(tokens, policy, remember=asked.trace)
                for answer in predictions(exits, classifier.bundle.config)
            ]
        return [
            {**_entry(prediction), "tokens": len(tokens[number].ids), "truncated": tokens[number].truncated}
            for number, prediction in sorted(left, key=lambda answer: answer[0])
        ]


def _entry(prediction: Prediction) -> dict[str, Any]:
    trace = prediction.trace and [
        {"depth": step.depth, "scores": dict(step.scores), "entropy": step.entropy} for step in prediction.trace
    ]
    return {
        "label": prediction.label,
        "score": prediction.score,
        "scores": dict(prediction.scores),
        "depth": prediction.depth,
        "depths": prediction.depths,
        "reason": prediction.reason,
        "error": None,
        "trace": trace,
    }


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise HTTPException(413, f"the request is larger than {LARGEST:,} bytes")
    return bytes(body)


def _json(values: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(values), status, media_type=JSON)


async def _refused(request: Request, error: Exception) -> Response:
    status, why = (error.status_code, error.detail) if isinstance(error, HTTPException) else (400, str(error))
    return _json({"error": " ".join(why.split())}, status)
