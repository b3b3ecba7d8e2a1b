"""Which reference belongs to a model: the transformers class that answers at every depth."""

from __future__ import annotations

from typing import Any

from elbert.model import modeling_others
from elbert.model.backbone import Backbone
from elbert.model.modeling import ElbertForSequenceClassification


def reference_class(backbone: Backbone) -> Any:
    """The class to train a model of that family with, or to compare it with; its ``from_pretrained`` reads folders."""
    if backbone.shared:
        return ElbertForSequenceClassification
    return getattr(modeling_others, backbone.classifier)
