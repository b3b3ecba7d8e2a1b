"""Which kernels: the fastest that there are for a type on a device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, get_args

import torch
from torch import Tensor

from elbert.errors import InputError
from elbert.model import native
from elbert.model.config import ModelConfig
from elbert.model.cuda import GraphReplay, VarlenKernels, record_graph, varlen_attention
from elbert.model.int8 import build_int8_layer
from elbert.model.kernels import Kernels, NativeKernels, TorchKernels
from elbert.model.layer import (
    Embedding,
    FloatLayer,
    Head,
    Layer,
    build_embedding,
    build_heads,
    build_layer,
    layer_weights,
)
from elbert.model.layout import Layout
from elbert.model.precision import Precision, hidden_dtype
from elbert.model.weights import group_layers, load_weights


def choose_kernels(dtype: torch.dtype, device: torch.device, *, head_width: int) -> Kernels:
    """The fastest that there are for hidden values of this type on this device."""
    if device.type == "cuda":
        attend = varlen_attention() if dtype == torch.bfloat16 and head_width % 8 == 0 else None
        return TorchKernels(dtype) if attend is None else VarlenKernels(attend)
    found = native.load()
    if isinstance(found, native.Kernels) and dtype in found.dtypes and (head_width % 2 == 0 or dtype == torch.float32):
        return NativeKernels(found)
    return TorchKernels(dtype)


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
        """``ids, type_ids [tokens] -> [room, width]``: rows at depth 0."""

    def step(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[room, width] -> [room, width]``: one depth deeper, by the layer of ``group``."""

    def read(self, hidden: Tensor, layout: Layout, head: int) -> Tensor:
        """``[room, width] -> [rows, classes]``: logits in float32, by exit head ``head``."""


class TorchBackend:
    """The packed model in torch; on a processor with oneDNN's products, and what is compiled where it can be."""

    def __init__(self, config: ModelConfig, embedding: Embedding, groups: list[list[Layer]], heads: list[Head]) -> None:
        self._config = config
        self._embedding = embedding
        self._groups = groups
        self._heads = heads
        self._run: Callable[[Tensor, Layout, int], Tensor] = self._layers
        if can_replay(groups):
            self._run = GraphReplay(self._layers, record_graph)

    @classmethod
    def load(
        cls, folder: Path, config: ModelConfig, *, precision: Precision = "float32", device: str = "cpu"
    ) -> TorchBackend:
        """From the safetensors of a folder; logits are float32 always.

        Raises:
            BundleError: the weights do not fit the configuration.
            InputError: the device cannot be used, or not with this precision.
        """
        if precision not in get_args(Precision):
            raise InputError(f"dtype is {precision!r}, expected one of auto, {', '.join(get_args(Precision))}")
        found = load_weights(folder, config)
        try:
            if torch.device(device).type not in DEVICES:
                raise InputError(f"device is {device!r}, expected auto, cpu or cuda")
            exact = {name: weight.to(device) for name, weight in found.items()}
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error
        place = next(iter(exact.values())).device
        dtype = hidden_dtype(precision, place)
        weights = {name: weight.to(dtype) for name, weight in exact.items()}
        kernels = choose_kernels(dtype, place, head_width=config.hidden_size // config.num_attention_heads)

        def layer(name: str) -> Layer:
            if precision == "int8":
                return build_int8_layer(layer_weights(exact, name, config), config, kernels, dtype)
            return build_layer(layer_weights(weights, name, config), config, kernels)

        groups = [[layer(name) for name in group_layers(config, group)] for group in range(config.num_hidden_groups)]
        return cls(config, build_embedding(weights, config), groups, build_heads(weights, exact, config))

    @property
    def config(self) -> ModelConfig:
        """The model's sizes."""
        return self._config

    @property
    def device(self) -> torch.device:
        """Where hidden rows live."""
        return self._embedding.words.device

    def embed(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``ids, type_ids [tokens] -> [room, width]``."""
        return self._embedding(layout.add_filler(ids), layout.add_filler(type_ids), layout)

    def step(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[room, width] -> [room, width]``."""
        return self._run(hidden, layout, group)

    def read(self, hidden: Tensor, layout: Layout, head: int) -> Tensor:
        """``[room, width] -> [rows, classes]``."""
        return self._heads[head](hidden, layout)

    def _layers(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        for layer in self._groups[group]:
            hidden = layer(hidden, layout)
        return hidden


def can_replay(groups: list[list[Layer]]) -> bool:
    """Whether steps are free of padding on a device with graphs, so that they can be recorded."""
    layers = [layer for group in groups for layer in group]
    return all(isinstance(layer, FloatLayer) and isinstance(layer.kernels, VarlenKernels) for layer in layers)
