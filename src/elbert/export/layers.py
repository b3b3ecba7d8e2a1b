"""ALBERT in nodes: the three verbs of a backend, ``embed``, ``step``, ``read``, over padded rows.

Weights are stored in the outermost graph; nodes go into the graph that a method receives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from elbert.errors import InputError
from elbert.export.graph import BOOL, FLOAT, Graph, Value
from elbert.export.quantization import Float32, Floats, Form, Inside
from elbert.model import ModelConfig
from elbert.model.families import TOKEN_HEAD
from elbert.model.kernels import Norm
from elbert.model.layer import Linear, layer_weights, linear, norm
from elbert.model.weights import group_layers

LOWEST = float(np.finfo(np.float32).min)  # added to attention scores at padding


@dataclass(frozen=True)
class Mask:
    """Which tokens are real: ``bias [rows, 1, 1, tokens]``, 0 or the lowest number; ``real [rows, tokens, 1]``, 1 or 0.

    The one that a model does not use is pruned from the file.
    """

    bias: Value
    real: Value

    @classmethod
    def of(cls, g: Graph, attention_mask: Value) -> Mask:
        """From the input ``attention_mask [rows, tokens]``."""
        is_token = g.Cast(attention_mask, to=BOOL)
        return cls(g.Unsqueeze(g.Where(is_token, 0.0, LOWEST), [1, 2]), g.Unsqueeze(g.Cast(is_token, to=FLOAT), [2]))

    def of_rows(self, g: Graph, rows: Value) -> Mask:
        """The mask of the rows at indices ``rows``."""
        return Mask(g.Gather(self.bias, rows, axis=0), g.Gather(self.real, rows, axis=0))


@dataclass(frozen=True)
class Model:
    """The weights of an ALBERT in ``g``, the outermost graph, stored in ``form``."""

    g: Graph
    weights: Mapping[str, Tensor]
    config: ModelConfig
    form: Form

    def embed(self, ids: Value, type_ids: Value) -> Value:
        """``ids, type_ids [rows, tokens] -> [rows, tokens, width]``: rows at depth 0."""
        g, prefix = self.g, "albert.embeddings"
        words = self.form.table(g, f"{prefix}.word_embeddings", self._floats(f"{prefix}.word_embeddings.weight"))
        positions = g.weight(f"{prefix}.positions", self._floats(f"{prefix}.position_embeddings.weight"))
        segments = g.weight(f"{prefix}.segments", self._floats(f"{prefix}.token_type_embeddings.weight"))
        here = g.Slice(positions, [0], g.Shape(ids, start=1, end=2), [0])
        summed = g.Add(g.Add(words(g, ids), here), g.Gather(segments, type_ids, axis=0))
        small = self._norm(norm(self.weights, f"{prefix}.LayerNorm", self.config.layer_norm_eps), f"{prefix}.norm")
        name = "albert.encoder.embedding_hidden_mapping_in"
        flat = self._flatten(g, small(g, summed), self.config.embedding_size)
        return self._rows(g, self._product(linear(self.weights, name), name)(g, flat), g.Shape(ids))

    def step(self) -> Callable[[Graph, Value, Mask], Value]:
        """``hidden [rows, tokens, width] -> the same``: one depth deeper."""
        layers = [self._layer(name, f"layer.{i}") for i, name in enumerate(group_layers(self.config, 0))]

        def run(g: Graph, hidden: Value, mask: Mask) -> Value:
            shape, tokens = g.Shape(hidden, end=2), self._flatten(g, hidden, self.config.hidden_size)
            for layer in layers:
                tokens = layer(g, tokens, shape, mask)
            return self._rows(g, tokens, shape)

        return run

    def read(self) -> Callable[[Graph, Value, Mask], Value]:
        """``hidden [rows, tokens, width] -> logits [rows, classes]``, float32; of all tokens where they are classified,
        ``[rows, tokens, classes]``."""
        if self.config.task.per_token:
            head = linear(self.weights, TOKEN_HEAD)
            classify = Float32().product(self.g, "classifier", to_numpy(head.weight), to_numpy(head.bias))
            return lambda g, hidden, mask: classify(g, hidden)
        pooler = self._product(linear(self.weights, "albert.pooler"), "pooler")
        last = linear(self.weights, "classifier")
        classifier = Float32().product(self.g, "classifier", to_numpy(last.weight), to_numpy(last.bias))

        def run(g: Graph, hidden: Value, mask: Mask) -> Value:
            if self.config.pooling == "cls":
                row = g.Gather(hidden, 0, axis=1)
            else:
                total = g.ReduceSum(g.Mul(hidden, mask.real), [1], keepdims=0)
                row = g.Div(total, g.ReduceSum(mask.real, [1], keepdims=0))
            return classifier(g, g.Tanh(pooler(g, row)))

        return run

    def _layer(self, name: str, short: str) -> Callable[[Graph, Value, Value, Mask], Value]:
        weights = layer_weights(self.weights, name, self.config)
        qkv = self._product(scale_queries(weights.qkv, self.config), f"{short}.qkv")
        dense = self._product(weights.dense, f"{short}.dense")
        widen = self._product(weights.widen, f"{short}.ffn")
        narrow = self._product(weights.narrow, f"{short}.ffn_output")
        first, second = self._norm(weights.attention_norm, f"{short}.norm"), self._norm(weights.norm, f"{short}.norm2")
        activate = resolve_activation(self.config.hidden_act)

        def run(g: Graph, tokens: Value, shape: Value, mask: Mask) -> Value:
            mixed = attention(g, qkv(g, tokens), shape, mask, self.config)
            attended = first(g, g.Add(tokens, dense(g, self._flatten(g, mixed, self.config.hidden_size))))
            return second(g, g.Add(attended, narrow(g, activate(g, widen(g, attended)))))

        return run

    def _flatten(self, g: Graph, hidden: Value, width: int) -> Value:
        """``[rows, tokens, ...]`` as products take it: ``[rows * tokens, width]`` if they go token by token."""
        if self.form.token_by_token:
            return g.Reshape(hidden, [-1, width])
        return hidden

    def _rows(self, g: Graph, tokens: Value, shape: Value) -> Value:
        """Back to ``[rows, tokens, width]``; shape ``[2]`` is rows and tokens."""
        if self.form.token_by_token:
            return g.Reshape(tokens, g.Concat(shape, [self.config.hidden_size], axis=0))
        return tokens

    def _product(self, weights: Linear, name: str) -> Inside:
        return self.form.product(self.g, name, to_numpy(weights.weight), to_numpy(weights.bias))

    def _norm(self, norm: Norm, name: str) -> Inside:
        scale, shift = (
            self.g.weight(f"{name}.weight", to_numpy(norm.weight)),
            self.g.weight(f"{name}.bias", to_numpy(norm.bias)),
        )
        return lambda g, x: g.LayerNormalization(x, scale, shift, axis=-1, epsilon=norm.eps)

    def _floats(self, name: str) -> Floats:
        return to_numpy(self.weights[name])


def attention(g: Graph, qkv: Value, shape: Value, mask: Mask, config: ModelConfig) -> Value:
    """``[…, 3 width] -> [rows, tokens, width]``; shape ``[2]`` is rows and tokens, and queries come scaled."""
    width, heads = config.hidden_size, config.num_attention_heads
    per_head = g.Concat(shape, [heads, width // heads], axis=0)
    query, key, value = (g.Reshape(part, per_head) for part in g.node("Split", [qkv], 3, axis=-1, num_outputs=3))
    scores = g.MatMul(g.Transpose(query, perm=[0, 2, 1, 3]), g.Transpose(key, perm=[0, 2, 3, 1]))
    mixed = g.MatMul(g.Softmax(g.Add(scores, mask.bias), axis=-1), g.Transpose(value, perm=[0, 2, 1, 3]))
    return g.Reshape(g.Transpose(mixed, perm=[0, 2, 1, 3]), g.Concat(shape, [width], axis=0))


def scale_queries(qkv: Linear, config: ModelConfig) -> Linear:
    """The stacked projections with attention's ``1 / sqrt(width of a head)`` in the queries' weights."""
    width = config.hidden_size
    scale = qkv.bias.new_ones(3 * width)
    scale[:width] = 1 / math.sqrt(width // config.num_attention_heads)
    return Linear(qkv.weight * scale[:, None], qkv.bias * scale)


def resolve_activation(name: str) -> Inside:
    """The activation with transformers' name ``name``.

    Raises:
        InputError: the activation has no ONNX operators here.
    """
    if name not in ACTIVATIONS:
        raise InputError(f"hidden_act {name!r} cannot be exported; expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _tanh_gelu(g: Graph, x: Value) -> Value:
    return g.Gelu(x, approximate="tanh")


def _silu(g: Graph, x: Value) -> Value:
    return g.Mul(x, g.Sigmoid(x))


ACTIVATIONS: dict[str, Inside] = {
    "gelu": lambda g, x: g.Gelu(x),
    "gelu_new": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "relu": lambda g, x: g.Relu(x),
    "silu": _silu,
    "swish": _silu,
    "tanh": lambda g, x: g.Tanh(x),
}


def to_numpy(weight: Tensor) -> Floats:
    """A weight as a float32 array."""
    array: Floats = weight.float().numpy()
    return array
