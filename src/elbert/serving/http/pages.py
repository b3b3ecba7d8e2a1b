"""Pages: the explorer, and the documentation of the routes; each may run its own scripts only."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from elbert.classifier import Classifier
from elbert.exits.encoding import policy_table
from elbert.serving.explorer import Evaluation, describe_evaluation, describe_model
from elbert.serving.http.errors import ApiError
from elbert.web import render_page

JSON = "application/json"
TEMPLATE, ROUTES = "docs.html", "<!-- routes -->"


class PageHandlers:
    """Pages and their data, rendered once; ``document`` is the OpenAPI document."""

    def __init__(
        self, classifier: Classifier, document: Mapping[str, Any], evaluation: Evaluation | None = None
    ) -> None:
        # The page need not request an evaluation that is not there.
        self._model = msgspec.json.encode(describe_model(classifier) | {"evaluation": evaluation is not None})
        self._evaluation = None if evaluation is None else msgspec.json.encode(describe_evaluation(evaluation))
        self._document = msgspec.json.encode(document)
        self._docs = Page(render_docs(document))
        # A regression has no exits to explore.
        is_regression = classifier.bundle.config.problem == "regression"
        self._explorer = (
            self._docs if is_regression else Page(render_page("explorer/explorer.html", table=policy_table()))
        )

    async def explorer(self, request: Request) -> Response:
        """``GET /``."""
        return self._explorer.to_response()

    async def docs(self, request: Request) -> Response:
        """``GET /docs``."""
        return self._docs.to_response()

    async def document(self, request: Request) -> Response:
        """``GET /openapi.json``."""
        return Response(self._document, media_type=JSON)

    async def model(self, request: Request) -> Response:
        """``GET /explorer/model.json``."""
        return Response(self._model, media_type=JSON)

    async def evaluation(self, request: Request) -> Response:
        """``GET /explorer/evaluation.json``."""
        if self._evaluation is None:
            raise ApiError("NotFound", "no labelled texts are loaded; start with elbert explore --data FILE")
        return Response(self._evaluation, media_type=JSON)


def render_docs(document: Mapping[str, Any]) -> str:
    """Render the documentation of all routes from the OpenAPI document."""
    template = files("elbert.serving.http").joinpath(TEMPLATE).read_text(encoding="utf-8")
    routes = [
        _render_route(path, method, operation, document)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    about = "".join(f"<p>{escape(part)}</p>" for part in document["info"]["description"].split("\n\n"))
    return template.replace(ROUTES, about + "".join(routes), 1)


def _render_route(path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    rows = [_render_status(status, response, document) for status, response in sorted(operation["responses"].items())]
    requests = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("examples", {})
    shown = "".join(_render_example(path, name, example["value"]) for name, example in requests.items())
    return (
        f'<section><h2><span class="method">{escape(method.upper())}</span> <code>{escape(path)}</code></h2>'
        f"<p>{escape(operation['summary'])}.</p>{shown}"
        f"<details><summary>Answers</summary><table>{''.join(rows)}</table></details></section>"
    )


def _render_status(status: str, response: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    name = response.get("$ref", "").rsplit("/", 1)[-1]
    description = (document["components"]["responses"][name] if name else response)["description"]
    return f"<tr><th>{escape(status)}</th><td>{escape(description)}</td></tr>"


def _render_example(path: str, name: str, value: Any) -> str:
    body = json.dumps(value, ensure_ascii=False)
    # In single quotes, as a shell takes it; HOST and PORT are those in the reader's address bar.
    line = f"curl http://HOST:PORT{path} -H 'content-type: {JSON}' -d '{body}'"
    return f"<figure><figcaption>{escape(name.replace('_', ' '))}</figcaption><pre>{escape(line)}</pre></figure>"


NONE = "'none'"
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


def content_security_policy(html: str) -> str:
    """Return the policy of a page: its own scripts and styles, by hash, and requests to this server."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for tag, content in _INLINE.findall(html):
        hashes[tag].append(f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'")
    return (
        f"default-src 'none'; script-src {' '.join(hashes['script']) or NONE}; "
        f"style-src {' '.join(hashes['style']) or NONE}; connect-src 'self'; img-src data:; "
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
