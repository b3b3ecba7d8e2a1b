"""A model that the HTTP application serves."""

from __future__ import annotations

from dataclasses import dataclass

from elbert.serving.http.metrics import Metrics
from elbert.serving.service import Service
from elbert.serving.settings import HttpSettings


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model that requests can name: its service, its names, and its metrics, which observe the service."""

    service: Service
    settings: HttpSettings
    metrics: Metrics
