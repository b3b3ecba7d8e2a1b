"""The routes of the server, as its documentation has them: their schemas, their errors, and whether they need a key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One method of a route.

    request: the schema of its body; such a route classifies, and fails in all the ways of ``CLASSIFY_ERRORS``
    answer: the schema of its answer, or a key of ``CONTENT``
    needs_key: false for probes and for pages that a browser opens
    errors: statuses besides 200, 401, 403, 431 and 500
    takes_model: the query ``model`` chooses one of several models
    """

    method: str
    path: str
    name: str
    summary: str
    answer: str = "empty"
    request: str = ""
    needs_key: bool = True
    errors: tuple[str, ...] = ()
    takes_model: bool = False


CLASSIFY_ERRORS = ("400", "408", "413", "415", "422", "424", "429", "503")
NO_STATE = ("503",)
TIMED = ("PredictResponse", "RerankResponse")  # TEI's shapes, with its headers
OPERATIONS = (
    Operation(
        "post",
        "/v1/classify",
        "classify",
        "Classify texts, with the exit of each",
        "ClassifyResponse",
        "ClassifyRequest",
        errors=("404",),
    ),
    Operation(
        "post",
        "/classify",
        "classify_vllm",
        "The same, as vLLM names it",
        "ClassifyResponse",
        "ClassifyRequest",
        errors=("404",),
    ),
    Operation(
        "post", "/predict", "predict", "Classify as text-embeddings-inference does", "PredictResponse", "PredictRequest"
    ),
    Operation(
        "post",
        "/",
        "root",
        "Classify as Hugging Face's clients request it, or as /predict",
        "PredictResponse",
        "RootRequest",
    ),
    Operation(
        "post", "/rerank", "rerank", "Rank texts as text-embeddings-inference does", "RerankResponse", "RerankRequest"
    ),
    Operation(
        "post",
        "/v1/rerank",
        "rerank_documents",
        "Rank documents as Jina, Cohere and vLLM do",
        "DocumentsResponse",
        "DocumentsRequest",
        errors=("404",),
    ),
    Operation("get", "/", "explorer", "The explorer page", "html", needs_key=False, takes_model=True),
    Operation(
        "post", "/invocations", "invocations", "The same as POST /, for SageMaker", "PredictResponse", "RootRequest"
    ),
    Operation("get", "/v1/models", "models", "The model that is served", "ModelList"),
    Operation("get", "/health", "health", "Alive", needs_key=False, errors=NO_STATE),
    Operation("get", "/ping", "ping", "The same as GET /health, for SageMaker", needs_key=False, errors=NO_STATE),
    Operation("get", "/ready", "ready", "Accepts requests", needs_key=False, errors=NO_STATE),
    Operation("get", "/info", "info", "The model, the limits and the state of the server", "Info"),
    Operation("get", "/metrics", "metrics", "Metrics for Prometheus", "text", needs_key=False),
    Operation("get", "/docs", "docs", "This documentation", "html", needs_key=False),
    Operation("get", "/openapi.json", "openapi", "This document", "object", needs_key=False),
    Operation(
        "get",
        "/explorer/model.json",
        "explorer_model",
        "A model, for the explorer page",
        "object",
        errors=("404",),
        takes_model=True,
    ),
    Operation(
        "get",
        "/explorer/evaluation.json",
        "explorer_evaluation",
        "Labelled texts, for the explorer page of elbert explore",
        "object",
        errors=("404",),
    ),
    Operation("get", "/v2", "server_metadata", "Open Inference Protocol: the server", "ServerMetadata"),
    Operation("get", "/v2/health/live", "server_live", "Alive", needs_key=False, errors=NO_STATE),
    Operation("get", "/v2/health/ready", "server_ready", "Accepts requests", needs_key=False, errors=NO_STATE),
    Operation("get", "/v2/models/{model}", "model_metadata", "Open Inference Protocol: the model", "ModelMetadata"),
    Operation("get", "/v2/models/{model}/ready", "model_ready", "Accepts requests", errors=NO_STATE),
    Operation(
        "post",
        "/v2/models/{model}/infer",
        "model_infer",
        "Open Inference Protocol: classify",
        "InferResponse",
        "InferRequest",
    ),
    Operation(
        "get", "/v2/models/{model}/versions/{version}", "version_metadata", "The model, by its version", "ModelMetadata"
    ),
    Operation(
        "get",
        "/v2/models/{model}/versions/{version}/ready",
        "version_ready",
        "Accepts requests, by its version",
        errors=NO_STATE,
    ),
    Operation(
        "post",
        "/v2/models/{model}/versions/{version}/infer",
        "version_infer",
        "Classify, by its version",
        "InferResponse",
        "InferRequest",
    ),
)

VERSIONED = tuple(operation for operation in OPERATIONS if "{model}" in operation.path)
# Routes of each model where there are several, for clients whose requests have no field for the model.
MODEL_OPERATIONS = (
    Operation("post", "/models/{model}", "model_root", "As POST /, by this model", "PredictResponse", "RootRequest"),
    Operation(
        "post",
        "/models/{model}/predict",
        "model_predict",
        "As /predict, by this model",
        "PredictResponse",
        "PredictRequest",
    ),
    Operation(
        "post", "/models/{model}/rerank", "model_rerank", "As /rerank, by this model", "RerankResponse", "RerankRequest"
    ),
    Operation("get", "/models/{model}/info", "model_info", "As /info, of this model", "Info"),
)

# Paths that need no key: machines probe them, or a browser opens them and cannot send one.
OPEN_PATHS = frozenset(operation.path for operation in OPERATIONS if not operation.needs_key) - {"/"}
