"""The OpenAPI document: a table of operations, and schemas that msgspec makes from the Structs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any
from urllib.parse import quote

import msgspec

from elbert import __version__
from elbert.serving.http.body import MAX_TEXTS
from elbert.serving.http.errors import STATUS, Error
from elbert.serving.http.headers import OPERATING_POINT, TIMES
from elbert.serving.http.operations import (
    CLASSIFY_ERRORS,
    MODEL_OPERATIONS,
    OPERATIONS,
    TIMED,
    VERSIONED,
    Operation,
)
from elbert.serving.http.schemas.classify import ClassifyItem, ClassifyRequest, ClassifyResponse, ModelList
from elbert.serving.http.schemas.hugging_face import HuggingFaceRequest
from elbert.serving.http.schemas.open_inference import (
    VERSION,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ServerMetadata,
)
from elbert.serving.http.schemas.rerank import DocumentsRequest, DocumentsResponse, RankedDocument, RerankRequest
from elbert.serving.http.schemas.tei import PredictRequest, RankedLabel

Schema = dict[str, Any]

STRUCTS = (
    PredictRequest,
    RankedLabel,
    HuggingFaceRequest,
    ClassifyRequest,
    ClassifyResponse,
    ModelList,
    InferRequest,
    InferResponse,
    RerankRequest,
    RankedDocument,
    DocumentsRequest,
    DocumentsResponse,
    ServerMetadata,
    ModelMetadata,
    Error,
)
ABOUT = """Text classification that stops each text at the depth where its answer is settled.

Every error is JSON with `error`, one line for people, and `error_type`, a name for programs. A route that is not
listed here is answered with 404, another method with 405 and the header `Allow`. Bodies are JSON in UTF-8, at most
1,024 levels deep. Every answer has the header `x-request-id`: the client's own id, if it sent a valid one."""


@dataclass(frozen=True)
class ServerFacts:
    """The properties of a server that its document depends on.

    models: accepted names of the model, the served one first; others: those of further models,
        which have other_labels too
    has_key: an API key is needed; checks_host: host names that are not allowed are rejected
    """

    models: Sequence[str]
    labels: Sequence[str]
    points: Sequence[str]
    depths: int
    max_texts: int
    has_key: bool
    checks_host: bool = False
    has_evaluation: bool = False
    others: Sequence[Sequence[str]] = ()
    other_labels: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """All accepted names of models."""
        return list(dict.fromkeys([*self.models, *chain.from_iterable(self.others)]))


CONTENT: dict[str, Schema] = {
    "html": {"text/html; charset=utf-8": {"schema": {"type": "string"}}},
    "text": {"text/plain; version=0.0.4; charset=utf-8": {"schema": {"type": "string"}}},
    "object": {"application/json": {"schema": {"type": "object"}}},
}
# Status: description, an example of its message, and the kind in that example.
ERRORS = {
    "400": ("A body that is not JSON, or a text without characters", "`inputs` cannot be empty", "Empty"),
    "401": ("No API key, or a wrong one", "no API key; expected the header Authorization: Bearer KEY", "Unauthorized"),
    "403": (
        "A host name that is not allowed, or a page of another origin",
        "the host 'my.example' is no name of this machine; call it 127.0.0.1 or localhost, or add the name with elbert "
        "serve --allowed-host NAME",
        "Forbidden",
    ),
    "404": ("No such route, model or data", "no route '/nowhere'; /docs lists all routes", "NotFound"),
    "408": ("The body did not arrive in time", "the body did not arrive within 60 s; send it again", "Timeout"),
    "413": (
        "The body is too large",
        "the body is larger than 2,000,000 bytes (--payload-limit); send fewer or shorter texts",
        "PayloadTooLarge",
    ),
    "415": ("Not JSON", "content-type is 'text/plain', expected application/json", "UnsupportedMediaType"),
    "422": (
        "Another shape than expected, or a text that cannot be used",
        "33 texts in a request, expected 1 to 32 (--max-client-batch-size); send the others in another",
        "Validation",
    ),
    "424": (
        "The model failed on a text",
        "the model failed on this text (RuntimeError); see the server's log",
        "Backend",
    ),
    "429": (
        "Too many texts are in the server; try again after Retry-After",
        "the deadline passed before the texts were tokenized; try again in 0.1 s",
        "Overloaded",
    ),
    "431": (
        "The request line and the headers are larger than 64 kB, or more than 256",
        "more than 256 headers; send fewer",
        "HeaderTooLarge",
    ),
    "500": (
        "A fault of the server; its log has the details",
        "the server failed on this request; see the server's log",
        "Internal",
    ),
    "503": (
        "The server is starting, restarting or stopping",
        "the server is starting, restarting or stopping; try again in a moment",
        "Unhealthy",
    ),
}
ERROR_HEADERS = {"401": "www-authenticate", "429": "retry-after"}


def openapi_document(facts: ServerFacts) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of one server."""
    examples = _examples(facts)
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        path = operation.path.format(model=quote(facts.models[0]), version=VERSION)
        paths.setdefault(path, {})[operation.method] = _describe(operation, facts, examples)
    for number, names in enumerate([facts.models, *facts.others] if facts.others else []):
        for operation in (*MODEL_OPERATIONS, *(VERSIONED if number else ())):
            path = operation.path.format(model=quote(names[0]), version=VERSION)
            numbered = replace(operation, name=f"{operation.name}_{number}")
            paths.setdefault(path, {})[operation.method] = _describe(numbered, facts, examples)
    return {
        "openapi": "3.1.0",
        "info": {"title": "elbert", "version": __version__, "description": ABOUT, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": _schemas(facts),
            "responses": {status: _error_response(status) for status in ERRORS},
            "headers": _headers(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _describe(operation: Operation, facts: ServerFacts, examples: Mapping[str, Any]) -> dict[str, Any]:
    statuses = set(operation.errors) | {"431", "500"} | (set(CLASSIFY_ERRORS) if operation.request else set())
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": ["classify" if operation.request else "state"],
        "responses": {"200": _answer(operation, examples)},
    }
    if operation.name == "explorer_evaluation" and not facts.has_evaluation:
        del described["responses"]["200"]
    if facts.others and operation.request and "{model}" not in operation.path:
        statuses.add("404")  # a body may name a model
    if facts.others and operation.takes_model:
        schema = {"type": "string", "enum": facts.names}
        described["parameters"] = [{"name": "model", "in": "query", "required": False, "schema": schema}]
    if facts.has_key and operation.needs_key:
        statuses.add("401")
        described["security"] = [{"key": []}]
    if facts.checks_host:
        statuses.add("403")
    if operation.request:
        body = {"schema": _ref("schemas", operation.request), "examples": examples[operation.request]}
        described["requestBody"] = {"required": True, "content": {"application/json": body}}
    described["responses"] |= {status: _ref("responses", status) for status in sorted(statuses)}
    return described


def _answer(operation: Operation, examples: Mapping[str, Any]) -> dict[str, Any]:
    names = ["x-request-id"]
    if operation.request:
        names += [OPERATING_POINT, *(TIMES if operation.answer in TIMED else ())]
    answer: dict[str, Any] = {
        "description": "The answer",
        "headers": {name: _ref("headers", name) for name in names},
    }
    if operation.answer in CONTENT:
        answer["content"] = CONTENT[operation.answer]
    elif operation.answer != "empty":
        content = {"schema": _ref("schemas", operation.answer)}
        if operation.answer in examples:
            content["examples"] = examples[operation.answer]
        answer["content"] = {"application/json": content}
    if operation.answer == "ClassifyResponse":
        lines = {"type": "string", "description": "one line of JSON (ClassifyItem) for each text, as it exits"}
        answer["content"]["application/x-ndjson"] = {"schema": lines}
    return answer


def _ref(kind: str, name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _error_response(status: str) -> dict[str, Any]:
    description, message, kind = ERRORS[status]
    names = ["x-request-id", *([ERROR_HEADERS[status]] if status in ERROR_HEADERS else [])]
    content = {"schema": _ref("schemas", "Error"), "example": {"error": message, "error_type": kind}}
    return {
        "description": description,
        "headers": {name: _ref("headers", name) for name in names},
        "content": {"application/json": content},
    }


def _headers() -> dict[str, Any]:
    text = {"type": "string"}
    number = {"type": "string", "pattern": "^[0-9]+$"}
    return {
        **{name: {"schema": number, "description": description} for name, description in TIMES.items()},
        OPERATING_POINT: {"schema": text, "description": "operating point or policy of the texts, percent-encoded"},
        "x-request-id": {
            "schema": text,
            "description": "the request's id in the server's log: the client's own, or a new one",
        },
        "retry-after": {"schema": number, "description": "with 429: seconds after which to send the request again"},
        "www-authenticate": {"schema": text, "description": "with 401: Bearer, the form in which a key is expected"},
    }


def _schemas(facts: ServerFacts) -> dict[str, Schema]:
    """The Structs' schemas, and what only this server knows: its labels, its depths and its limits."""
    _, generated = msgspec.json.schema_components(STRUCTS, ref_template="#/components/schemas/{name}")
    schemas: dict[str, Schema] = _set_limit(generated, facts.max_texts)
    ranked = {
        "type": "array",
        "items": _ref("schemas", "RankedLabel"),
        "minItems": 1,
        "maxItems": len({*facts.labels, *facts.other_labels}),
        "description": "the highest score first",
    }
    not_hugging_face = {"properties": {"parameters": {"not": {"type": "object"}}}}
    schemas |= {
        "PredictResponse": {"anyOf": [ranked, {"type": "array", "items": ranked}]},
        "RootRequest": {
            "anyOf": [
                _ref("schemas", "HuggingFaceRequest"),
                {"allOf": [_ref("schemas", "PredictRequest"), not_hugging_face]},
            ]
        },
        "RerankResponse": {
            "type": "array",
            "items": _ref("schemas", "RankedDocument"),
            "minItems": 1,
            "description": "the highest score first",
        },
        "Info": {
            "type": "object",
            "description": "the fields of text-embeddings-inference, and this server's own under elbert",
            "required": ["model_id", "model_type", "max_input_length", "version", "elbert"],
        },
    }
    schemas["ClassifyRequest"]["oneOf"] = [{"required": ["input"]}, {"required": ["inputs"]}]
    schemas["ClassifyRequest"]["properties"]["model"]["enum"] = [*facts.names, None]
    schemas["DocumentsRequest"]["properties"]["model"]["enum"] = [*facts.names, None]
    schemas["RankedLabel"]["properties"]["label"]["enum"] = list(dict.fromkeys([*facts.labels, *facts.other_labels]))
    schemas["Error"]["properties"]["error_type"]["enum"] = list(STATUS)
    schemas["ItemError"]["properties"]["error_type"]["enum"] = list(STATUS)
    return schemas


def _set_limit(schema: Any, max_texts: int) -> Any:
    """Put a server's number of texts in the place of ``MAX_TEXTS``, at any depth."""
    if isinstance(schema, dict):
        return {key: _set_limit(value, max_texts) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_set_limit(value, max_texts) for value in schema]
    return max_texts if schema == MAX_TEXTS else schema


QUERY = "a film for the heart"
TEXT, PAIR = "A charming and often affecting journey.", "It was not a waste of time."


def _examples(facts: ServerFacts) -> dict[str, Any]:
    """Bodies and answers by schema, valid for any model; their numbers are invented."""
    scores = _falling_scores(facts.labels)
    best = next(iter(scores))
    ranked = [{"score": score, "label": label} for label, score in scores.items()]
    item = ClassifyItem(
        index=0,
        label=best,
        probs=[scores.get(label, 0.0) for label in facts.labels],
        num_classes=len(facts.labels),
        score=scores[best],
        scores=scores,
        depth=1,
        depths=facts.depths,
        reason="entropy",
        truncated=False,
        tokens=10,
        operating_point=next(iter(facts.points), "full"),
    )
    usage = {"prompt_tokens": 10, "total_tokens": 10, "completion_tokens": 0, "prompt_tokens_details": None}
    answer = {
        "id": "classify-0123456789abcdef",
        "object": "list",
        "created": 1745383213,
        "model": facts.models[0],
        "data": [msgspec.to_builtins(item)],
        "usage": usage | {"tokens": 10, "layer_tokens": 10},
    }
    result = {"index": 1, "depth": facts.depths, "reason": "last"}
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}
    label = {"name": "label", "shape": [1], "datatype": "BYTES", "data": [best]}
    bodies: dict[str, dict[str, Any]] = {
        "ClassifyRequest": {
            "text": {"model": facts.models[0], "input": TEXT},
            "texts": {"input": [TEXT, {"text": TEXT, "text_pair": PAIR}]},
            "policy": {"input": [TEXT], "policy": "entropy(0.2)", "deadline_ms": 50, "trace": True},
            "long": {"input": [TEXT], "long": "windows(mean, full)"},
        },
        "ClassifyResponse": {"texts": answer},
        "PredictRequest": {
            "text": {"inputs": TEXT},
            "pair": {"inputs": [TEXT, PAIR], "truncate": True, "truncation_direction": "Left"},
            "batch": {"inputs": [[TEXT], [TEXT, PAIR]]},
        },
        "PredictResponse": {"text": ranked, "batch": [ranked, ranked]},
        "RootRequest": {
            "hugging_face": {"inputs": TEXT, "parameters": {"top_k": 1}},
            "tei": {"inputs": TEXT},
        },
        "RerankRequest": {"texts": {"query": QUERY, "texts": [PAIR, TEXT], "return_text": True}},
        "RerankResponse": {"texts": [result | {"score": 0.9, "text": TEXT}]},
        "DocumentsRequest": {"documents": {"query": QUERY, "documents": [PAIR, TEXT], "top_n": 1}},
        "DocumentsResponse": {
            "documents": {
                "id": "rerank-0123456789abcdef",
                "model": facts.models[0],
                "usage": {"prompt_tokens": 20, "total_tokens": 20, "layer_tokens": 20 * facts.depths},
                "results": [result | {"document": {"text": TEXT}, "relevance_score": 0.9}],
            }
        },
        "InferRequest": {"text": {"id": "1", "inputs": [tensor], "outputs": [{"name": "label"}]}},
        "InferResponse": {"text": {"model_name": "elbert", "model_version": "1", "id": "1", "outputs": [label]}},
    }
    return {schema: {name: {"value": value} for name, value in examples.items()} for schema, examples in bodies.items()}


def _falling_scores(labels: Sequence[str]) -> dict[str, float]:
    """Return probabilities that add up to 1 for at most 8 labels, the highest first."""
    some = labels[:8]
    total = sum(2.0**i for i in range(len(some)))
    return {label: round(2.0**i / total, 4) for i, label in reversed(list(enumerate(some)))}
