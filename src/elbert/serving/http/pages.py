"""Pages: the explorer, and the routes of the server; each may run its own scripts only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from elbert.exits.encoding import policy_table
from elbert.serving.explorer import Evaluation, describe_evaluation, describe_model
from elbert.serving.http.errors import ApiError
from elbert.serving.http.served_model import ServedModel
from elbert.tasks import Task
from elbert.web import list_hashes, render_page

JSON = "application/json"


class PageHandlers:
    """Pages and their data, rendered once; ``document`` is the OpenAPI document. ``models`` have their names.

    The explorer of each of several ``models`` has an address of its own, with the query ``model=NAME``; without it, it
    is that of the first. ``evaluation`` has labelled texts for the first.
    """

    def __init__(
        self,
        models: Mapping[ServedModel, Sequence[str]],
        document: Mapping[str, Any],
        evaluation: Evaluation | None = None,
    ) -> None:
        self._first = next(iter(models)).settings.name
        self._names = [model.settings.name for model in models]
        self._docs = Page(render_page("api/api.html", document))
        # A page for each set of policies that fit.
        tasks = [model.service.classifier.bundle.config.task for model in models]
        pages = {(task.content, task.per_token): _render_explorer(task) for task in tasks}
        self._explorers = {
            name: pages[task.content, task.per_token]
            for names, task in zip(models.values(), tasks, strict=True)
            for name in names
        }
        self._models = {
            name: msgspec.json.encode(
                describe_model(model.service.classifier)
                | {
                    "name": model.settings.name,
                    "models": self._names if len(models) > 1 else None,
                    # The page need not request an evaluation that is not there.
                    "evaluation": evaluation is not None,
                }
            )
            for model, names in models.items()
            for name in names
        }
        self._evaluation = None if evaluation is None else msgspec.json.encode(describe_evaluation(evaluation))
        self._document = msgspec.json.encode(document)

    async def explorer(self, request: Request) -> Response:
        """``GET /``; a name that no model has is the page's to show."""
        name = request.query_params.get("model", self._first)
        return self._explorers.get(name, self._explorers[self._first]).to_response()

    async def docs(self, request: Request) -> Response:
        """``GET /docs``."""
        return self._docs.to_response()

    async def document(self, request: Request) -> Response:
        """``GET /openapi.json``."""
        return Response(self._document, media_type=JSON)

    async def model(self, request: Request) -> Response:
        """``GET /explorer/model.json``."""
        name = request.query_params.get("model", self._first)
        if name not in self._models:
            known = ", ".join(self._names)
            raise ApiError("NotFound", f"no model {name!a:.80} here; expected one of {known:.200}")
        return Response(self._models[name], media_type=JSON)

    async def evaluation(self, request: Request) -> Response:
        """``GET /explorer/evaluation.json``."""
        if self._evaluation is None:
            raise ApiError("NotFound", "no labelled texts are loaded; start with elbert explore --data FILE")
        return Response(self._evaluation, media_type=JSON)


def _render_explorer(task: Task) -> Page:
    return Page(render_page("explorer/explorer.html", table=policy_table(task.content, per_token=task.per_token)))


NONE = "'none'"


def content_security_policy(html: str) -> str:
    """Return the policy of a page: its own scripts and styles, by hash, and requests to this server."""
    return (
        f"default-src 'none'; script-src {list_hashes(html, 'script') or NONE}; "
        f"style-src {list_hashes(html, 'style') or NONE}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Page:
    """A page, encoded and hashed once: everybody may request it, as often as they like."""

    def __init__(self, html: str) -> None:
        self._content = html.encode()
        self._headers = {
            "content-security-policy": content_security_policy(html),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-store",  # explorers of several models follow each other on one port
        }

    def to_response(self) -> Response:
        """Return the answer."""
        return HTMLResponse(self._content, headers=self._headers)
