"""Handlers that describe the server: health, readiness, metrics, and the model that is served."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response

from elbert import __version__
from elbert.serving.http.errors import ApiError
from elbert.serving.http.metrics import metrics_text
from elbert.serving.http.schemas.classify import Model, ModelList
from elbert.serving.http.schemas.open_inference import ServerMetadata, to_metadata
from elbert.serving.http.served_model import ServedModel

JSON = "application/json"


class StateHandlers:
    """One handler for each route. Of several models the first is described where an answer has one model."""

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self._models = models
        created = int(time.time())
        self._list = ModelList(data=[Model(id=model.settings.name, created=created) for model in models])

    async def health(self, request: Request) -> Response:
        """``GET /health``: 200 unless the engine cannot recover."""
        if not all(model.service.is_healthy for model in self._models):
            raise ApiError("Unhealthy", "the engine has failed and does not recover; restart the server")
        return Response()

    async def ready(self, request: Request) -> Response:
        """``GET /ready``: 200 while the server accepts requests."""
        if not all(model.service.is_ready for model in self._models):
            raise ApiError("Unhealthy", "the server is starting, restarting or stopping; try again in a moment")
        if any(model.metrics.is_failing for model in self._models):
            raise ApiError("Unhealthy", "the model fails on every text; see the server's log")
        return Response()

    async def info(self, request: Request) -> Response:
        """``GET /info``."""
        first, *others = self._models
        info = _describe(first)
        if others:
            info["elbert"]["models"] = {model.settings.name: _describe(model) for model in self._models}
        return _to_json(info)

    async def metrics(self, request: Request) -> Response:
        """``GET /metrics``."""
        text = metrics_text({model.settings.name: model.metrics for model in self._models})
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def models(self, request: Request) -> Response:
        """``GET /v1/models``."""
        return _to_json(self._list)

    async def server(self, request: Request) -> Response:
        """``GET /v2``."""
        return _to_json(ServerMetadata("elbert", __version__, []))

    async def model(self, request: Request) -> Response:
        """``GET /v2/models/MODEL``."""
        model = self._models[0]
        return _to_json(to_metadata(model.settings.name, len(model.service.classifier.labels)))


def _describe(model: ServedModel) -> dict[str, Any]:
    """Return TEI's fields, and this server's under one key."""
    service, settings = model.service, model.settings
    limits, classifier = service.settings, service.classifier
    bundle = classifier.bundle
    names = dict(enumerate(classifier.labels))
    return {
        "model_id": settings.model_id,
        "model_sha": settings.revision,
        "model_dtype": classifier.dtype,
        "served_model_name": settings.name,
        "model_type": {
            "classifier": {
                "id2label": {str(i): name for i, name in names.items()},
                "label2id": {name: i for i, name in names.items()},
            }
        },
        "max_concurrent_requests": limits.max_concurrent_requests,
        "max_input_length": classifier.tokeniser.max_length,
        "max_batch_tokens": limits.max_batch_tokens,
        "max_batch_requests": classifier.capacity.rows,
        "max_client_batch_size": limits.max_client_batch_size,
        "auto_truncate": settings.auto_truncate,
        "tokenization_workers": limits.tokenization_workers,
        "version": __version__,
        "elbert": service.info() | {"default": bundle.default, "weights": bundle.weights_hash},
    }


def _to_json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type=JSON)
