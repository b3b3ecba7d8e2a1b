"""A model that the HTTP application serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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


def assign_names(models: Sequence[ServedModel]) -> dict[ServedModel, tuple[str, ...]]:
    """Return the names by which requests reach each model: its own, and its folder or hub id where only it has that.

    An id that is the name of another model, or from which two models come, would reach the wrong one.
    """
    own = {model.settings.name for model in models}
    ids = Counter(model.settings.model_id for model in models)
    return {
        model: tuple(name for name in model.settings.names if name == model.settings.name or _is_id(name, own, ids))
        for model in models
    }


def _is_id(name: str, own: set[str], ids: Counter[str]) -> bool:
    return name not in own and ids[name] == 1
