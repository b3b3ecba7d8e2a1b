"""Operations: what a route takes and answers, in terms of the document's components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LINES = "application/x-ndjson"
REFUSED = ("400", "401", "408", "413", "415", "422", "424", "429", "500", "503")
TIMED = ("x-compute-time", "x-compute-tokens", "x-compute-characters", "x-total-time", "x-tokenization-time")
TIMES = (*TIMED, "x-queue-time", "x-inference-time")
SHOWN = {
    "html": {"text/html; charset=utf-8": {"schema": {"type": "string"}}},
    "text": {"text/plain; version=0.0.4; charset=utf-8": {"schema": {"type": "string"}}},
    "object": {"application/json": {"schema": {"type": "object"}}},
}


def classifying(operation: str, told: str, kind: str, examples: Mapping[str, Any]) -> dict[str, Any]:
    """A route that classifies: takes ``<kind>Request``, answers ``<kind>Response``."""
    sent = {"schema": _schema(f"{kind}Request"), "examples": examples[kind]["request"]}
    content: dict[str, Any] = {
        "application/json": {"schema": _schema(f"{kind}Response"), "examples": examples[kind]["response"]}
    }
    if kind == "Classify":
        content[LINES] = {"schema": {"type": "string", "description": "a line of JSON (ClassifyItem) for each text"}}
    told_of = ("x-request-id", "x-elbert-operating-point", *(TIMES if kind in ("Predict", "Root") else ()))
    found = {
        "description": "The answer",
        "headers": {header: _header(header) for header in told_of},
        "content": content,
    }
    return {
        "operationId": operation,
        "summary": told,
        "tags": ["classify"],
        "security": [{"key": []}],
        "requestBody": {"required": True, "content": {"application/json": sent}},
        "responses": {"200": found, **{status: _response(status) for status in REFUSED}},
    }


def reading(name: str, told: str, kind: str, *, locked: bool = True, failing: bool = False) -> dict[str, Any]:
    """A route that tells something: nothing but its status, a page, or a component's schema."""
    if kind == "absent":
        responses: dict[str, Any] = {"404": _response("404")}
    else:
        found: dict[str, Any] = {"description": "As asked", "headers": {"x-request-id": _header("x-request-id")}}
        if kind != "empty":
            found["content"] = SHOWN.get(kind, {"application/json": {"schema": _schema(kind)}})
        responses = {"200": found}
    if failing:
        responses["503"] = _response("503")
    responses["500"] = _response("500")
    operation: dict[str, Any] = {"operationId": name, "summary": told, "tags": ["state"], "responses": responses}
    if locked:
        responses["401"] = _response("401")
        operation["security"] = [{"key": []}]
    return operation


def _schema(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _response(status: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{status}"}


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}
