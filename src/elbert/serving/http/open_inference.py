"""The routes of the Open Inference Protocol, version 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from elbert import __version__
from elbert.serving.http import v2
from elbert.serving.http.classify import JSON, Classify
from elbert.serving.http.errors import refusal
from elbert.serving.http.headers import header_text
from elbert.serving.http.health import State
from elbert.serving.http.routes import Handler


class OpenInference:
    """Handlers for a model of one name."""

    def __init__(self, classify: Classify, state: State, name: str, labels: tuple[str, ...]) -> None:
        self._classify = classify
        self._state = state
        self._name = name
        self._labels = labels

    def table(self) -> Mapping[str, Mapping[str, Handler]]:
        """Paths and methods with their handlers."""
        model = f"/v2/models/{self._name}"
        return {
            **self._of(model),
            **self._of(f"{model}/versions/{v2.VERSION}"),  # which the protocol leaves to the caller
            "/v2": {"GET": self.server},
            "/v2/health/live": {"GET": self._state.health},
            "/v2/health/ready": {"GET": self._state.ready},
        }

    def _of(self, model: str) -> Mapping[str, Mapping[str, Handler]]:
        return {
            f"{model}/infer": {"POST": self.infer},
            model: {"GET": self.model},
            f"{model}/ready": {"GET": self._state.ready},
        }

    async def server(self, request: Request) -> Response:
        """``GET /v2``."""
        return _json({"name": "elbert", "version": __version__, "extensions": []})

    async def model(self, request: Request) -> Response:
        """``GET /v2/models/MODEL``."""
        return _json(v2.metadata(self._name, v2.VERSION, len(self._labels)))

    async def infer(self, request: Request) -> Response:
        """``POST /v2/models/MODEL/infer``."""
        given = await self._classify.json(request)
        wanted = v2.wanted(given, self._classify.most)
        outputs, identity = v2.chosen_outputs(given), v2.identity_of(given)
        items = await self._classify.items(request, wanted)
        for item in items:
            if item.error is not None:
                raise refusal(item.error)
        told = v2.answer(self._name, v2.VERSION, identity, items, self._labels, outputs)
        return _json(told, {"x-elbert-operating-point": header_text(items[0].point)})


def _json(told: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(told), 200, headers, JSON)
