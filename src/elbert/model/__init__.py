"""The model: its sizes, its layer over packed rows, its exit head. Knows no policy.

:mod:`elbert.model.reference` holds the transformers models for training and comparison; it is imported where needed."""

from __future__ import annotations

from elbert.model.backend import Backend, TorchBackend, check_device
from elbert.model.config import ModelConfig
from elbert.model.layout import Layout
from elbert.model.precision import Precision, fastest_precision
from elbert.model.weights import weight_files

__all__ = [
    "Backend",
    "Layout",
    "ModelConfig",
    "Precision",
    "TorchBackend",
    "check_device",
    "fastest_precision",
    "weight_files",
]
