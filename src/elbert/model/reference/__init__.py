"""The reference models: classifiers of transformers, read at every depth.

Training uses them, and tests compare the engine with them.
"""

from __future__ import annotations

from typing import Any

from elbert.model.families import Backbone
from elbert.model.reference import encoders
from elbert.model.reference.albert import ElbertForSequenceClassification


def reference_class(backbone: Backbone) -> Any:
    """The class to train a model of that family with, or to compare it with; its ``from_pretrained`` reads folders."""
    if backbone.shared:
        return ElbertForSequenceClassification
    return getattr(encoders, backbone.classifier)
