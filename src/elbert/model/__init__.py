"""The model: its sizes, its layer over packed rows, its exit head. Knows no policy.

``elbert.model.modeling`` holds the reference, a transformers model; it is imported only where it is needed."""

from __future__ import annotations

from elbert.model.backend import Backend, TorchBackend
from elbert.model.config import ModelConfig
from elbert.model.layout import Layout
from elbert.model.precision import Precision, fastest
from elbert.model.weights import weight_files

__all__ = ["Backend", "Layout", "ModelConfig", "Precision", "TorchBackend", "fastest", "weight_files"]
