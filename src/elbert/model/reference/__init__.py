"""The reference models: classifiers from transformers with logits at every depth (extra ``train``).

Training uses them, and tests compare the engine with them.
"""
# ruff: noqa: E402

from __future__ import annotations

from typing import Any

from elbert._optional import require

require("transformers", "train")  # before the imports below, so that the error names the remedy

from elbert.model.families import Backbone
from elbert.model.reference import encoders, token_classifiers
from elbert.model.reference.albert import ElbertForSequenceClassification
from elbert.model.reference.token_classifiers import ElbertForTokenClassification
from elbert.tasks import TokenClassification


def reference_class(backbone: Backbone, *, per_token: bool = False) -> Any:
    """Return the class that trains a model of this family, or computes its reference logits.

    Its ``from_pretrained`` loads model folders.
    """
    if backbone.shared:
        return ElbertForTokenClassification if per_token else ElbertForSequenceClassification
    if per_token:
        return getattr(token_classifiers, backbone.class_name(TokenClassification.architecture))
    return getattr(encoders, backbone.classifier)
