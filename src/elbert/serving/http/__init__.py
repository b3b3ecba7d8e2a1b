"""HTTP: one ASGI application with the service's routes, shapes, metrics and documents."""

from __future__ import annotations

from elbert.serving.http.app import application, explorer_application
from elbert.serving.http.metrics import Metrics
from elbert.serving.settings import HttpSettings

__all__ = ["HttpSettings", "Metrics", "application", "explorer_application"]
