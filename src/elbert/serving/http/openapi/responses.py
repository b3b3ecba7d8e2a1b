"""Schemas of what is answered: answers, errors, headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elbert.serving.http.errors import STATUS
from elbert.serving.http.openapi.operations import TIMES
from elbert.serving.http.openapi.requests import NUMBER, STRING, Schema

WHOLE: Schema = {"type": "integer", "minimum": 0}
WHEN = {
    "400": ("a body that is not JSON, or a text of no characters", "`inputs` cannot be empty", "Empty"),
    "401": ("no or a wrong API key", "no API key; expected the header Authorization: Bearer KEY", "Unauthorized"),
    "404": ("there is no such thing here", "no route '/nowhere'; /docs shows them all", "NotFound"),
    "408": ("the body did not come in time", "the body did not come within 60 s", "Timeout"),
    "413": ("the body is too large", "the body is larger than 2,000,000 bytes (--payload-limit)", "PayloadTooLarge"),
    "415": ("no JSON", "content-type is 'text/plain', expected application/json", "UnsupportedMediaType"),
    "422": ("another shape than is expected, or a text that cannot be used", "top_k must be a whole number from 1", ""),
    "424": ("the model failed on a text", "the model failed on this text; the server's log says more", "Backend"),
    "429": ("too much is under way; try again after Retry-After", "512 texts are under way", "Overloaded"),
    "500": ("a fault of the server; its log says more", "the server failed on this request", "Internal"),
    "503": ("the server is starting, restarting or stopping", "the server takes no requests now", "Unhealthy"),
}
EXTRA = {"401": "www-authenticate", "429": "retry-after"}


def errors() -> dict[str, Any]:
    """Responses by status, each with its example."""
    return {
        status: {
            "description": told.capitalize(),
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in _headers_of(status)},
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Error"},
                    "example": {"error": message, "error_type": kind or "Validation"},
                }
            },
        }
        for status, (told, message, kind) in WHEN.items()
    }


def headers() -> dict[str, Any]:
    """Headers by name."""
    milliseconds = {"schema": {"type": "string", "pattern": "^[0-9]+$"}, "description": "milliseconds, or a count"}
    return {
        **dict.fromkeys(TIMES, milliseconds),
        "x-elbert-operating-point": {
            "schema": STRING,
            "description": "the operating point under which the texts ran, or their policy; percent-encoded",
        },
        "x-request-id": {"schema": STRING, "description": "names the request in logs"},
        "retry-after": {"schema": {"type": "string", "pattern": "^[0-9]+$"}, "description": "seconds"},
        "www-authenticate": {"schema": STRING, "description": "Bearer"},
    }


def answers(labels: Sequence[str], depths: int) -> dict[str, Schema]:
    """Schemas by name, for a model of these labels."""
    ranked = {
        "type": "array",
        "items": _object({"score": NUMBER, "label": {"enum": list(labels)}}),
        "minItems": 1,
        "maxItems": len(labels),
        "description": "the highest score first",
    }
    batch = {"type": "array", "items": ranked}
    depth = {"type": ["integer", "null"], "minimum": 1, "maximum": depths}
    scores = {"type": "object", "additionalProperties": NUMBER}
    step = _object({"depth": {**depth, "type": "integer"}, "scores": scores, "entropy": NUMBER})
    item = _object(
        {
            "index": WHOLE,
            "label": {"type": ["string", "null"]},
            "score": {"type": ["number", "null"]},
            "scores": {**scores, "type": ["object", "null"]},
            "depth": depth,
            "depths": depth,
            "reason": {"type": ["string", "null"]},
            "truncated": {"type": "boolean"},
            "tokens": WHOLE,
            "operating_point": STRING,
            "error": {"anyOf": [{"type": "null"}, _object({"message": STRING, "error_type": {"enum": list(STATUS)}})]},
        }
    )
    item["properties"]["trace"] = {"type": "array", "items": step}
    return {
        "Error": _object({"error": STRING, "error_type": {"enum": list(STATUS)}}),
        "PredictResponse": {"anyOf": [ranked, batch]},
        "RootResponse": {"anyOf": [ranked, batch]},
        "ClassifyItem": item,
        "ClassifyResponse": _object(
            {
                "model": STRING,
                "data": {"type": "array", "items": {"$ref": "#/components/schemas/ClassifyItem"}},
                "usage": _object({"tokens": WHOLE, "layer_tokens": WHOLE}),
            }
        ),
        "InferResponse": _object({"model_name": STRING, "model_version": STRING, "outputs": {"type": "array"}}),
        "ServerMetadata": _object({"name": STRING, "version": STRING, "extensions": {"type": "array"}}),
        "ModelMetadata": _object({"name": STRING, "platform": STRING, "inputs": {"type": "array"}}),
        "Info": _object(
            {
                "model_id": STRING,
                "model_sha": {"type": ["string", "null"]},
                "model_dtype": STRING,
                "model_type": {"type": "object"},
                "max_concurrent_requests": WHOLE,
                "max_input_length": WHOLE,
                "version": STRING,
                "elbert": {"type": "object"},
            }
        ),
    }


def _headers_of(status: str) -> list[str]:
    return ["x-request-id", *([EXTRA[status]] if status in EXTRA else [])]


def _object(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}
