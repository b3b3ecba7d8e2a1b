"""The reference models: classifiers of transformers, read at every depth (extra ``train``).

Training uses them, and tests compare the engine with them.
"""
# ruff: noqa: E402

from __future__ import annotations

from typing import Any

from elbert._optional import require

require("transformers", "train")  # before the modules that import it, so that its absence is one line with the remedy

from elbert.model.families import Backbone
from elbert.model.reference import encoders
from elbert.model.reference.albert import ElbertForSequenceClassification


def reference_class(backbone: Backbone) -> Any:
    """The class to train a model of that family with, or to compare it with; its ``from_pretrained`` reads folders."""
    if backbone.shared:
        return ElbertForSequenceClassification
    return getattr(encoders, backbone.classifier)
