"""The model at inference: three verbs over packed rows."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from elbert.errors import InputError
from elbert.model.config import ModelConfig
from elbert.model.head import Head, build_heads
from elbert.model.layer import Embedding, Layer, build_embedding, build_layer
from elbert.model.layout import Layout
from elbert.model.weights import group_layers, load_weights

DEVICES = ("cpu", "cuda")  # where this has been tried


class Backend(Protocol):
    """What runs a model: ``embed`` rows, ``step`` them one depth deeper, ``read`` what the exit head says."""

    @property
    def config(self) -> ModelConfig:
        """The model's sizes."""

    @property
    def device(self) -> torch.device:
        """Where hidden rows live."""

    def embed(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``ids, type_ids [tokens] -> [tokens, width]``: rows at depth 0."""

    def step(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[tokens, width] -> [tokens, width]``: one depth deeper, by the layer of ``group``."""

    def read(self, hidden: Tensor, layout: Layout, head: int) -> Tensor:
        """``[tokens, width] -> [rows, classes]``: logits in float32, by exit head ``head``."""


class TorchBackend:
    """The packed model in torch, float32 or bfloat16."""

    def __init__(self, config: ModelConfig, embedding: Embedding, groups: list[list[Layer]], heads: list[Head]) -> None:
        self._config = config
        self._embedding = embedding
        self._groups = groups
        self._heads = heads

    @classmethod
    def load(
        cls, folder: Path, config: ModelConfig, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
    ) -> TorchBackend:
        """From the safetensors of a folder; the exit heads stay in float32, where thresholds are compared.

        Raises:
            BundleError: the weights do not fit the configuration.
            InputError: the device cannot be used.
        """
        found = load_weights(folder, config)
        try:
            if torch.device(device).type not in DEVICES:
                raise InputError(f"device is {device!r}, expected auto, cpu or cuda")
            placed = {name: weight.to(device) for name, weight in found.items()}
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error
        weights = {name: weight.to(dtype) for name, weight in placed.items()}
        groups = [
            [build_layer(weights, name, config) for name in group_layers(config, group)]
            for group in range(config.num_hidden_groups)
        ]
        return cls(config, build_embedding(weights, config), groups, build_heads(placed, config))

    @property
    def config(self) -> ModelConfig:
        """The model's sizes."""
        return self._config

    @property
    def device(self) -> torch.device:
        """Where hidden rows live."""
        return self._embedding.words.device

    def embed(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``ids, type_ids [tokens] -> [tokens, width]``."""
        return self._embedding(ids, type_ids, layout)

    def step(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[tokens, width] -> [tokens, width]``."""
        for layer in self._groups[group]:
            hidden = layer(hidden, layout)
        return hidden

    def read(self, hidden: Tensor, layout: Layout, head: int) -> Tensor:
        """``[tokens, width] -> [rows, classes]``."""
        return self._heads[head](hidden, layout)
