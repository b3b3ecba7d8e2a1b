"""Pages: the explorer, and the routes' documentation; each may run its own scripts and nothing else."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from elbert.classifier import Classifier
from elbert.serving.explore import about
from elbert.serving.explore_guard import policy_of
from elbert.serving.http.refusals import Refusal
from elbert.web import page

JSON = "application/json"


class Pages:
    """Made once; ``docs`` is the documentation as HTML, ``document`` the OpenAPI document as JSON."""

    def __init__(self, classifier: Classifier, docs: str, document: bytes) -> None:
        self._about = orjson.dumps(about(classifier) | {"evaluation": False})
        self._docs = docs
        self._document = document
        # A number has no exits to explore.
        self._explorer = docs if classifier.bundle.config.problem == "regression" else page("explorer.html")

    async def explorer(self, request: Request) -> Response:
        """``GET /``."""
        return _html(self._explorer)

    async def docs(self, request: Request) -> Response:
        """``GET /docs``."""
        return _html(self._docs)

    async def document(self, request: Request) -> Response:
        """``GET /openapi.json``."""
        return Response(self._document, media_type=JSON)

    async def model(self, request: Request) -> Response:
        """``GET /explorer/model.json``."""
        return Response(self._about, media_type=JSON)

    async def evaluation(self, request: Request) -> Response:
        """``GET /explorer/evaluation.json``."""
        raise Refusal("NotFound", "a server holds no labelled texts; elbert explore --data FILE does")


def _html(text: str) -> Response:
    headers = {
        "content-security-policy": policy_of(text),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    return HTMLResponse(text, headers=headers)
