"""Pages: the explorer, and the documentation of the routes; each may run its own scripts only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from elbert.classifier import Classifier
from elbert.serving.explore import about
from elbert.serving.explore_guard import policy_of
from elbert.serving.http.errors import Refusal
from elbert.web import page

TEMPLATE, PLACE = "docs.html", "<!-- routes -->"


def docs_page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    template = files("elbert.serving.http").joinpath(TEMPLATE).read_text(encoding="utf-8")
    routes = [
        _route(path, method, operation, document)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    about = "".join(f"<p>{escape(part)}</p>" for part in document["info"]["description"].split("\n\n"))
    return template.replace(PLACE, about + "".join(routes), 1)


def _route(path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    lines = [_status(status, response, document) for status, response in sorted(operation["responses"].items())]
    sent = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
    shown = "".join(_example(path, name, example["value"]) for name, example in sent.items())
    return (
        f'<section><h2><span class="method">{escape(method.upper())}</span> <code>{escape(path)}</code></h2>'
        f"<p>{escape(operation['summary'])}.</p>{shown}"
        f"<details><summary>Answers</summary><table>{''.join(lines)}</table></details></section>"
    )


def _status(status: str, response: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    name = response.get("$ref", "").rsplit("/", 1)[-1]
    told = document["components"]["responses"][name] if name else response
    return f"<tr><th>{escape(status)}</th><td>{escape(told['description'])}</td></tr>"


def _example(path: str, name: str, value: Any) -> str:
    body = json.dumps(value, ensure_ascii=False)
    # A text in single quotes, as a shell takes it; where the server is, the reader's own address bar says.
    line = f"curl http://HOST:PORT{path} -H 'content-type: application/json' -d '{body}'"
    return f"<figure><figcaption>{escape(name.replace('_', ' '))}</figcaption><pre>{escape(line)}</pre></figure>"


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
