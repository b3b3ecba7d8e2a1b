"""What every backend around another one has of it."""

from __future__ import annotations

import torch

from elbert.model import Backend, ModelConfig


class Wrapped:
    """A backend around another one; subclasses change what a call does."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def config(self) -> ModelConfig:
        """The model's sizes."""
        return self._backend.config

    @property
    def device(self) -> torch.device:
        """Where hidden rows live."""
        return self._backend.device
