"""The backend that computes a model in torch, with the fastest kernels for its type and device."""

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
from elbert.model.isolation import isolated_loading
from elbert.model.kernels import Kernels, TorchKernels
from elbert.model.layer import (
    Embedding,
    FloatLayer,
    Head,
    Layer,
    LayerWeights,
    build_embedding,
    build_heads,
    build_layer,
    layer_weights,
)
from elbert.model.layout import Layout
from elbert.model.precision import Precision, hidden_dtype
from elbert.model.weights import group_layers, load_weights


def choose_kernels(dtype: torch.dtype, device: torch.device, *, head_width: int) -> Kernels:
    """Return the fastest kernels for hidden states of ``dtype`` on ``device``; ``head_width`` is per attention head."""
    if device.type == "cuda":
        attend = varlen_attention() if dtype == torch.bfloat16 and head_width % 8 == 0 else None
        return TorchKernels(dtype) if attend is None else VarlenKernels(attend)
    return TorchKernels(dtype)


def choose_variant(config: ModelConfig, device: torch.device) -> native.Variant | None:
    """Return the native code that can compute this model's layers on ``device``; None where torch computes them."""
    variant = native.load()
    if device.type != "cpu" or isinstance(variant, native.NoVariant) or config.hidden_act not in native.ACTIVATIONS:
        return None
    sizes = config.hidden_size, config.intermediate_size, config.num_attention_heads
    return variant if native.NativeLayer.supports(*sizes) else None


def build_native_layer(
    weights: LayerWeights, config: ModelConfig, precision: Precision, variant: native.Variant
) -> Layer:
    """Build a layer of native code from float32 weights."""
    layer = native.NativeLayer(
        variant,
        precision,
        heads=config.num_attention_heads,
        qkv=native.NativeProduct(*weights.qkv),
        dense=native.NativeProduct(*weights.dense),
        attention_norm=weights.attention_norm,
        widen=native.NativeProduct(*weights.widen, native.ACTIVATIONS[config.hidden_act]),
        narrow=native.NativeProduct(*weights.narrow),
        norm=weights.norm,
    )
    return lambda hidden, layout: layer(hidden, layout.bounds, layout.tokens)


DEVICES = ("cpu", "cuda")  # the types of device that are tested


class Backend(Protocol):
    """The interface to a model: ``embed`` rows, ``step`` to the next depth, ``read`` logits with an exit head."""

    @property
    def config(self) -> ModelConfig:
        """The configuration of the model."""

    @property
    def device(self) -> torch.device:
        """The device of the hidden states."""

    def embed(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``ids, type_ids [tokens] -> [size, width]``: the hidden states at depth 0."""

    def step(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[size, width] -> [size, width]``: the hidden states one depth deeper, with the layers of ``group``."""

    def read(self, hidden: Tensor, layout: Layout, head: int) -> Tensor:
        """``[size, width] -> [rows, classes]``: logits in float32, with exit head ``head``."""


class TorchBackend:
    """The model on packed rows in torch.

    On a CPU the layers are native code where there is some, else oneDNN's matrix products and torch. On a CUDA device
    it replays recorded graphs, if the kernels need no padding.
    """

    def __init__(self, config: ModelConfig, embedding: Embedding, groups: list[list[Layer]], heads: list[Head]) -> None:
        self._config = config
        self._embedding = embedding
        self._groups = groups
        self._heads = heads
        self._run: Callable[[Tensor, Layout, int], Tensor] = self._apply_layers
        if can_replay(groups):
            self._run = GraphReplay(self._apply_layers, record_graph)

    @classmethod
    @isolated_loading()
    def load(
        cls, folder: Path, config: ModelConfig, *, precision: Precision = "float32", device: str = "cpu"
    ) -> TorchBackend:
        """Load the model from the safetensors of a folder; logits are always in float32.

        Raises:
            BundleError: the weights cannot be read or do not match the configuration.
            InputError: the precision is unknown, or the device cannot be used, alone or with this precision.
        """
        if precision not in get_args(Precision):
            raise InputError(f"dtype is {precision!r}, expected one of auto, {', '.join(get_args(Precision))}")
        loaded = load_weights(folder, config)
        try:
            if torch.device(device).type not in DEVICES:
                raise InputError(f"device is {device!r}, expected auto, cpu or cuda")
            exact = {name: weight.to(device) for name, weight in loaded.items()}
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error
        resolved = next(iter(exact.values())).device  # with an index, such as cuda:0
        variant = choose_variant(config, resolved)
        dtype = hidden_dtype(precision, resolved, variant)
        weights = {name: weight.to(dtype) for name, weight in exact.items()}
        kernels = choose_kernels(dtype, resolved, head_width=config.hidden_size // config.num_attention_heads)

        def build(name: str) -> Layer:
            if variant is not None:
                return build_native_layer(layer_weights(exact, name, config), config, precision, variant)
            if precision == "int8":
                return build_int8_layer(layer_weights(exact, name, config), config, kernels, dtype)
            return build_layer(layer_weights(weights, name, config), config, kernels)

        groups = [[build(name) for name in group_layers(config, group)] for group in range(config.num_hidden_groups)]
        return cls(config, build_embedding(weights, config), groups, build_heads(weights, exact, config))

    @property
    def config(self) -> ModelConfig:
        """The configuration of the model."""
        return self._config

    @property
    def device(self) -> torch.device:
        """The device of the hidden states."""
        return self._embedding.words.device

    def embed(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``ids, type_ids [tokens] -> [size, width]``."""
        return self._embedding(layout.add_filler(ids), layout.add_filler(type_ids), layout)

    def step(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[size, width] -> [size, width]``."""
        return self._run(hidden, layout, group)

    def read(self, hidden: Tensor, layout: Layout, head: int) -> Tensor:
        """``[size, width] -> [rows, classes]``."""
        return self._heads[head](hidden, layout)

    def _apply_layers(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        for layer in self._groups[group]:
            hidden = layer(hidden, layout)
        return hidden


def can_replay(groups: list[list[Layer]]) -> bool:
    """Whether steps can be recorded as CUDA graphs: all layers are float layers with kernels that need no padding."""
    layers = [layer for group in groups for layer in group]
    return all(isinstance(layer, FloatLayer) and isinstance(layer.kernels, VarlenKernels) for layer in layers)
