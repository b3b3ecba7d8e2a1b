"""HTTP: the service's routes, shapes, metrics and documents, as one ASGI application."""

from __future__ import annotations

from elbert.serving.http.application import application
from elbert.serving.http.metrics import Metrics
from elbert.serving.http.settings import HttpSettings

__all__ = ["HttpSettings", "Metrics", "application"]
