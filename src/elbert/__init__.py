"""Classify text with ALBERT, and stop each text at the depth where its answer is settled."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from elbert.errors import BadRow, BundleError, DataError, ElbertError, InputError, MissingExtra, PolicyError

if TYPE_CHECKING:
    from elbert.bundle import ConditionsWarning, bundled_model
    from elbert.classifier import Classifier
    from elbert.evaluation import load_outputs
    from elbert.exits import Policy, policy, replay
    from elbert.model.reference.albert import ElbertForSequenceClassification
    from elbert.model.reference.token_classifiers import ElbertForTokenClassification
    from elbert.prediction import Prediction, RankedText, TokenPrediction
    from elbert.training.entry import train
    from elbert.training.estimator import ElbertClassifier

__version__ = "0.1.0"

# Imported on first use, because importing torch and transformers takes seconds.
_MODULES = {
    "Classifier": "elbert.classifier",
    "ConditionsWarning": "elbert.bundle",
    "ElbertClassifier": "elbert.training.estimator",
    "ElbertForSequenceClassification": "elbert.model.reference.albert",
    "ElbertForTokenClassification": "elbert.model.reference.token_classifiers",
    "Policy": "elbert.exits",
    "Prediction": "elbert.prediction",
    "RankedText": "elbert.prediction",
    "TokenPrediction": "elbert.prediction",
    "bundled_model": "elbert.bundle",
    "load_outputs": "elbert.evaluation",
    "policy": "elbert.exits",
    "replay": "elbert.exits",
    "train": "elbert.training.entry",
}

__all__ = [
    "BadRow",
    "BundleError",
    "Classifier",
    "ConditionsWarning",
    "DataError",
    "ElbertClassifier",
    "ElbertError",
    "ElbertForSequenceClassification",
    "ElbertForTokenClassification",
    "InputError",
    "MissingExtra",
    "Policy",
    "PolicyError",
    "Prediction",
    "RankedText",
    "TokenPrediction",
    "__version__",
    "bundled_model",
    "load_outputs",
    "policy",
    "replay",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'elbert' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
