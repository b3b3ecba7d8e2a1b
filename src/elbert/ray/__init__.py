"""Clusters: bulk prediction on Ray Data, and serving on Ray Serve. ``pip install 'elbert[ray]'``."""

from __future__ import annotations

from elbert.ray.bulk import predict
from elbert.ray.deployment import app, deployment

__all__ = ["app", "deployment", "predict"]
