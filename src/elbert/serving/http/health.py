"""The routes that tell of the server's state."""

from __future__ import annotations

from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response

from elbert import __version__
from elbert.serving.http.errors import Refusal
from elbert.serving.http.metrics import Metrics
from elbert.serving.http.settings import HttpSettings
from elbert.serving.service import Service

JSON = "application/json"


class State:
    """Health, readiness, and what is being served."""

    def __init__(self, service: Service, settings: HttpSettings, metrics: Metrics) -> None:
        self._service = service
        self._settings = settings
        self._metrics = metrics

    async def health(self, request: Request) -> Response:
        """``GET /health``: 200 unless the engine cannot recover."""
        if not self._service.healthy:
            raise Refusal("Unhealthy", "the engine has failed and does not recover; start the server again")
        return Response()

    async def ready(self, request: Request) -> Response:
        """``GET /ready``: whether requests are taken."""
        if not self._service.ready:
            raise Refusal("Unhealthy", "the server is starting, restarting or stopping")
        return Response()

    async def info(self, request: Request) -> Response:
        """``GET /info``."""
        return Response(orjson.dumps(self.told()), media_type=JSON)

    async def metrics(self, request: Request) -> Response:
        """``GET /metrics``."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    def told(self) -> dict[str, Any]:
        """TEI's fields, and ours under one key."""
        service, settings = self._service, self._settings
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
