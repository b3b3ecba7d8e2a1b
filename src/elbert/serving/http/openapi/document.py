"""The document as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from elbert import __version__
from elbert.serving.http.openapi.examples import examples
from elbert.serving.http.openapi.operations import classifying, reading
from elbert.serving.http.openapi.requests import requests
from elbert.serving.http.openapi.responses import answers, errors, headers
from elbert.serving.http.v2 import VERSION

TOLD = """Text classification that stops each text at the depth where its answer is settled.

Every error is JSON with `error`, one line for people, and `error_type`, a word for programs. A route that is not
listed here is answered with 404, a method that is not with 405 and the header `Allow`. Bodies are JSON in UTF-8,
at most 1,024 levels deep. Every answer bears `x-request-id`: the caller's own, if it sent a sane one."""


@dataclass(frozen=True)
class About:
    """What a server's document depends on: the model's name and labels, its points, limits, whether there is a key."""

    model: str
    labels: Sequence[str]
    points: Sequence[str]
    depths: int
    most_texts: int
    api_key: bool


def document(about: About) -> dict[str, Any]:
    """The document of one server, OpenAPI 3.1."""
    model = f"/v2/models/{quote(about.model)}"
    shown = examples(about.labels, about.points, about.depths)
    paths: dict[str, Any] = {
        "/predict": {"post": classifying("predict", "Classify as text-embeddings-inference does", "Predict", shown)},
        "/v1/classify": {"post": classifying("classify", "Classify, and tell where each left", "Classify", shown)},
        "/": {
            "post": classifying("root", "Classify as Hugging Face's clients ask, or as /predict", "Root", shown),
            "get": reading("explorer", "The explorer page", "html", locked=False),
        },
        "/invocations": {"post": classifying("invocations", "The same as POST /, for SageMaker", "Root", shown)},
        "/health": {"get": reading("health", "Alive", "empty", locked=False, failing=True)},
        "/ping": {"get": reading("ping", "The same, for SageMaker", "empty", locked=False, failing=True)},
        "/ready": {"get": reading("ready", "Takes traffic", "empty", locked=False, failing=True)},
        "/info": {"get": reading("info", "What is served, its limits and its state", "Info")},
        "/metrics": {"get": reading("metrics", "Metrics for Prometheus", "text", locked=False)},
        "/docs": {"get": reading("docs", "These pages", "html", locked=False)},
        "/openapi.json": {"get": reading("openapi", "This document", "object", locked=False)},
        "/explorer/model.json": {"get": reading("explorer_model", "What the explorer page shows", "object")},
        "/explorer/evaluation.json": {"get": reading("explorer_evaluation", "No labelled texts here", "absent")},
        "/v2": {"get": reading("server_metadata", "Open Inference Protocol: the server", "ServerMetadata")},
        "/v2/health/live": {"get": reading("server_live", "Alive", "empty", locked=False, failing=True)},
        "/v2/health/ready": {"get": reading("server_ready", "Takes traffic", "empty", locked=False, failing=True)},
        **_model(model, "model", "", shown),
        **_model(f"{model}/versions/{VERSION}", "version", ", by its version", shown),
    }
    if not about.api_key:
        _unlock(paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": "elbert", "version": __version__, "description": TOLD, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": {**requests(about.most_texts, about.points), **answers(about.labels, about.depths)},
            "responses": errors(),
            "headers": headers(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _model(path: str, name: str, told: str, shown: Mapping[str, Any]) -> dict[str, Any]:
    """The routes of the Open Inference Protocol that name the model."""
    infer = classifying(f"{name}_infer", f"Open Inference Protocol: classify{told}", "Infer", shown)
    return {
        path: {"get": reading(f"{name}_metadata", f"Open Inference Protocol: the model{told}", "ModelMetadata")},
        f"{path}/ready": {"get": reading(f"{name}_ready", f"Takes traffic{told}", "empty", failing=True)},
        f"{path}/infer": {"post": infer},
    }


def _unlock(paths: dict[str, Any]) -> None:
    for operations in paths.values():
        for operation in operations.values():
            operation.pop("security", None)
            operation["responses"].pop("401", None)
