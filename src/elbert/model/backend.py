"""The backend that computes a model in torch, with the fastest kernels for its type and device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast, get_args

import torch
from torch import Tensor

from elbert.errors import BundleError, InputError
from elbert.model import native
from elbert.model.config import ModelConfig
from elbert.model.cuda import GraphReplay, VarlenKernels, record_graph, varlen_attention
from elbert.model.int8 import build_int8_layer
from elbert.model.isolation import isolated_loading
from elbert.model.kernels import Kernels, TorchKernels
from elbert.model.layer import (
    Embed,
    FloatLayer,
    Layer,
    Read,
    activation,
    build_embedding,
    build_heads,
    build_layer,
    embedding_weights,
    head_weights,
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


@dataclass(frozen=True)
class NativeModel:
    """Embedding, layers by group, and exit heads, in native code; the embedding may be torch's."""

    groups: list[list[native.NativeLayer]]
    heads: list[native.NativeHead]
    embedding: native.NativeEmbedding | None

    def as_parts(self) -> tuple[list[list[Layer]], list[Read]]:
        """The same as functions of hidden values and their layout."""
        return [[on_rows(layer) for layer in group] for group in self.groups], [on_rows(head) for head in self.heads]


def on_rows(part: native.NativeLayer | native.NativeHead) -> Callable[[Tensor, Layout], Tensor]:
    """Return the part as a function of hidden values and their layout."""
    return lambda hidden, layout: part(hidden, layout.bounds, layout.tokens)


def embed_rows(embedding: native.NativeEmbedding) -> Embed:
    """Return the embedding as a function of ids, segments and their layout."""
    return lambda ids, types, layout: embedding(ids, types, layout.bounds, layout.size)


@dataclass(frozen=True)
class NativeParts:
    """Builds parts of a model in native code; a size that native code does not have gives None."""

    variant: native.Variant
    config: ModelConfig
    precision: Precision
    exact: Mapping[str, Tensor]  # in float32, with their names on disk

    @classmethod
    def choose(
        cls, config: ModelConfig, precision: Precision, exact: Mapping[str, Tensor], device: torch.device
    ) -> NativeParts | None:
        """Return the builder of parts on this machine; None where torch computes the layers."""
        variant = native.load()
        if device.type != "cpu" or isinstance(variant, native.NoVariant) or config.hidden_act not in native.ACTIVATIONS:
            return None
        sizes = config.hidden_size, config.intermediate_size, config.num_attention_heads
        return cls(variant, config, precision, exact) if native.NativeLayer.supports(*sizes) else None

    def build_model(self, embedding: native.NativeEmbedding | None) -> NativeModel | None:
        """Build the layers and exit heads."""
        heads = self.build_heads()
        if heads is None:
            return None
        groups = [group_layers(self.config, group) for group in range(self.config.num_hidden_groups)]
        return NativeModel([[self.build_layer(name) for name in names] for names in groups], heads, embedding)

    def build_layer(self, name: str) -> native.NativeLayer:
        """Build the layer with the prefix ``name``."""
        weights = layer_weights(self.exact, name, self.config)
        return native.NativeLayer(
            self.variant,
            self.precision,
            heads=self.config.num_attention_heads,
            qkv=native.NativeProduct(*weights.qkv),
            dense=native.NativeProduct(*weights.dense),
            attention_norm=weights.attention_norm,
            widen=native.NativeProduct(*weights.widen, native.ACTIVATIONS[self.config.hidden_act]),
            narrow=native.NativeProduct(*weights.narrow),
            norm=weights.norm,
        )

    def build_heads(self) -> list[native.NativeHead] | None:
        """Build the exit heads, from the shallowest block of depths to the deepest; None where torch computes them."""
        if self.config.task.per_token:
            return None
        activation = native.ACTIVATIONS.get(self.config.backbone.head.activation)
        weights = head_weights(self.exact, self.config)
        if activation is None or not all(native.NativeHead.supports(*pooler.weight.shape) for pooler, _ in weights):
            return None
        return [
            native.NativeHead(
                self.variant,
                self.precision,
                pooler=native.NativeProduct(*pooler, activation),
                classifier=native.NativeProduct(*classifier),
                is_mean=self.config.pooling == "mean",
            )
            for pooler, classifier in weights
        ]

    def build_embedding(self, weights: Mapping[str, Tensor]) -> native.NativeEmbedding | None:
        """Build the embedding; ``weights`` are in the hidden type."""
        tables, exact = embedding_weights(weights, self.config), embedding_weights(self.exact, self.config)
        width, inner = self.config.hidden_size, tables.words.shape[1]
        if not native.NativeEmbedding.supports(width, inner):
            return None
        return native.NativeEmbedding(
            self.variant,
            self.precision,
            words=tables.words,
            positions=tables.positions,
            segments=tables.segments,
            norm=exact.norm,
            map=None if exact.map is None else native.NativeProduct(*exact.map),
            padding=self.config.padding,
        )


DEVICES = ("cpu", "cuda")  # the types of device that are tested


def check_device(name: str) -> None:
    """Check that this is the name of a device on which models run; whether the machine has it shows when it is used.

    Raises:
        InputError: it is not.
    """
    try:
        is_known = torch.device(name).type in DEVICES
    except (RuntimeError, TypeError):
        is_known = False
    if not is_known:
        raise InputError(f"device is {name!r:.80}, expected auto, cpu or cuda")


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


class AdvancingBackend(Backend, Protocol):
    """A backend that computes and decides in one call."""

    @property
    def can_advance(self) -> bool:
        """Whether :meth:`advance` is available."""

    def advance(self, hidden: Tensor, layout: Layout, group: int, head: int, live: native.Live) -> Tensor:
        """:meth:`step`, :meth:`read` where it is needed, and the decision of each row: changes ``live``.

        Up to ``live.layers`` times, all with the same weights, until a row exits.
        """


def as_advancing(backend: Backend) -> AdvancingBackend | None:
    """Return the backend if it computes and decides in one call.

    This is looked up in the class: a backend around another one, which passes attributes on, has its own step and read.
    """
    if not hasattr(type(backend), "can_advance"):
        return None
    advancing = cast(AdvancingBackend, backend)
    return advancing if advancing.can_advance else None


class RefillingBackend(Backend, Protocol):
    """A backend that fills the places of rows that exit in the same call."""

    @property
    def can_refill(self) -> bool:
        """Whether :meth:`refill` is available."""

    def refill(self, refill: native.Refill) -> Tensor:
        """Take rows to their exits, and rows that wait into free places: ``[size, width]`` of those that remain."""


def as_refilling(backend: Backend) -> RefillingBackend | None:
    """Return the backend if it fills places itself; looked up as in :func:`as_advancing`."""
    if not hasattr(type(backend), "can_refill"):
        return None
    refilling = cast(RefillingBackend, backend)
    return refilling if refilling.can_refill else None


class TorchBackend:
    """The model on packed rows in torch.

    On a CPU its parts are native code where there is some, else oneDNN's matrix products and torch. On a CUDA device
    it replays recorded graphs, if the kernels need no padding.
    """

    def __init__(
        self,
        config: ModelConfig,
        device: torch.device,
        embedding: Embed,
        groups: list[list[Layer]],
        heads: list[Read],
        native_model: NativeModel | None = None,
    ) -> None:
        self._config = config
        self._device = device
        self._embedding = embedding
        self._native = native_model
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
        try:
            activation(config.hidden_act)
        except BundleError as error:
            raise BundleError(f"{folder}/{error}") from None
        loaded = load_weights(folder, config)
        check_device(device)
        try:
            exact = {name: weight.to(device) for name, weight in loaded.items()}
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error
        resolved = next(iter(exact.values())).device  # with an index, such as cuda:0
        parts = NativeParts.choose(config, precision, exact, resolved)
        dtype = hidden_dtype(precision, resolved, None if parts is None else parts.variant)
        weights = {name: weight.to(dtype) for name, weight in exact.items()}
        native_embedding = parts.build_embedding(weights) if parts is not None else None
        embedding = build_embedding(weights, config) if native_embedding is None else embed_rows(native_embedding)
        if parts is not None and (model := parts.build_model(native_embedding)) is not None:
            return cls(config, resolved, embedding, *model.as_parts(), model)
        kernels = choose_kernels(dtype, resolved, head_width=config.hidden_size // config.num_attention_heads)

        def build(name: str) -> Layer:
            if parts is not None:
                return on_rows(parts.build_layer(name))
            if precision == "int8":
                return build_int8_layer(layer_weights(exact, name, config), config, kernels, dtype)
            return build_layer(layer_weights(weights, name, config), config, kernels)

        groups = [[build(name) for name in group_layers(config, group)] for group in range(config.num_hidden_groups)]
        return cls(config, resolved, embedding, groups, build_heads(weights, exact, config))

    @property
    def config(self) -> ModelConfig:
        """The configuration of the model."""
        return self._config

    @property
    def device(self) -> torch.device:
        """The device of the hidden states."""
        return self._device

    def embed(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``ids, type_ids [tokens] -> [size, width]``."""
        return self._embedding(ids, type_ids, layout)

    def step(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[size, width] -> [size, width]``."""
        return self._run(hidden, layout, group)

    def read(self, hidden: Tensor, layout: Layout, head: int) -> Tensor:
        """``[size, width] -> [rows, classes]``."""
        return self._heads[head](hidden, layout)

    @property
    def can_advance(self) -> bool:
        """Whether :meth:`advance` is available: layers and heads are native code."""
        return self._native is not None

    def advance(self, hidden: Tensor, layout: Layout, group: int, head: int, live: native.Live) -> Tensor:
        """:meth:`step`, :meth:`read` where it is needed, and the decision of each row, in one call; up to
        ``live.layers`` times, until a row exits."""
        if self._native is None:
            raise ValueError("these layers or heads are no native code")
        *first, last = self._native.groups[group]
        if first:
            live.layers = 1
        for layer in first:
            hidden = layer(hidden, layout.bounds, layout.tokens)
        return last(hidden, layout.bounds, layout.tokens, self._native.heads[head], live)

    @property
    def can_refill(self) -> bool:
        """Whether :meth:`refill` is available: embedding, head and the one layer of all depths are native code."""
        model = self._native
        if model is None or model.embedding is None or len(model.heads) > 1 or list(map(len, model.groups)) != [1]:
            return False
        return model.embedding.variant.run_refill is not None

    def refill(self, refill: native.Refill) -> Tensor:
        """Take rows to their exits, and rows that wait into free places: ``[size, width]`` of those that remain."""
        if self._native is None or self._native.embedding is None:
            raise ValueError("these layers, heads or embedding are no native code")
        return refill.run(self._native.embedding, self._native.groups[0][0], self._native.heads[0])

    def _apply_layers(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        for layer in self._groups[group]:
            hidden = layer(hidden, layout)
        return hidden


def can_replay(groups: list[list[Layer]]) -> bool:
    """Whether steps can be recorded as CUDA graphs: all layers are float layers with kernels that need no padding."""
    layers = [layer for group in groups for layer in group]
    return all(isinstance(layer, FloatLayer) and isinstance(layer.kernels, VarlenKernels) for layer in layers)
