"""HTTP: one ASGI application with the service's routes, shapes, metrics and documents."""
# ruff: noqa: E402

from __future__ import annotations

from elbert._optional import require

for module in ("msgspec", "starlette", "uvicorn"):
    require(module, "serve")  # before the imports below, so that the error names the remedy

from elbert.serving.http.app import application, explorer_application
from elbert.serving.http.metrics import Metrics
from elbert.serving.settings import HttpSettings

__all__ = ["HttpSettings", "Metrics", "application", "explorer_application"]
