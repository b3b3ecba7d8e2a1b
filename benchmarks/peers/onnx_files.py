"""ONNX files of an ALBERT folder: exported by torch.onnx, and quantised so that every layer really is int8."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from peers.batching import INPUTS
from peers.transformers_ import Probabilities
from peers.workshop import Workshop

OPSET = 18
PRODUCTS = ("MatMul", "Gemm")


def exported(folder: Path, workshop: Workshop) -> Path:
    """The float32 graph from tokens to probabilities, rows and tokens of any number."""
    path = workshop.path(folder, "float32.onnx")
    if path.exists():
        return path
    model = Probabilities(folder, attention="eager")  # runtimes know plain attention's pattern, not torch's
    rows = torch.export.Dim("rows")
    tokens = torch.export.Dim("tokens", max=model.model.config.max_position_embeddings)
    torch.onnx.export(
        model,
        tuple(torch.ones((2, 5), dtype=torch.int64) for _ in INPUTS),
        path,
        dynamo=True,
        external_data=False,
        opset_version=OPSET,
        input_names=list(INPUTS),
        output_names=["probabilities"],
        dynamic_shapes={name: {0: rows, 1: tokens} for name in INPUTS},
        verbose=False,
    )
    fold_transposes(path)
    return path


def fold_transposes(path: Path) -> None:
    """Store each weight the way its product reads it.

    The exporter keeps PyTorch's ``[out, in]`` weights and transposes them in the graph. There the quantiser finds
    no constant to quantise, and silently leaves those products (90 of 99) in float.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type == "Transpose" and node.input[0] in constants:
            axes = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"), None)
            turned = np.ascontiguousarray(numpy_helper.to_array(constants[node.input[0]]).transpose(axes))
            graph.initializer.append(numpy_helper.from_array(turned, node.output[0]))
        else:
            kept.append(node)
    read = {name for node in kept for name in node.input}
    live = [constant for constant in graph.initializer if constant.name in read]
    for field, values in ((graph.node, kept), (graph.initializer, live), (graph.value_info, [])):
        del field[:]
        field.extend(values)
    onnx.save(model, path)


def quantised(folder: Path, workshop: Workshop) -> Path:
    """Dynamic int8: weights per channel, activations per tensor at run time, all products with weights.

    The layer's weights stay one constant that twelve nodes read. A Loop over one body, and bodies with the fused
    attention operators, were measured and are not faster.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = workshop.path(folder, "int8.onnx")
    if not path.exists():
        quantize_dynamic(
            exported(folder, workshop),
            path,
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(PRODUCTS),
            extra_options={"MatMulConstBOnly": True},
        )
    return path


def weight_products(path: Path) -> Counter[str]:
    """How many products with a weight are in ``int8`` and in ``float``; attention's two products have no weight."""
    import onnx

    counted: Counter[str] = Counter()
    graph = onnx.load(path).graph
    constants = {constant.name for constant in graph.initializer}
    turned = {node.output[0] for node in graph.node if _is_turned_weight(node, constants)}
    for node in graph.node:
        weighs = not (constants | turned).isdisjoint(node.input[:2])
        if node.op_type == "MatMulInteger" and weighs:
            counted["int8"] += 1
        elif node.op_type in PRODUCTS and weighs:
            counted["float"] += 1
    return counted


def _is_turned_weight(node: Any, constants: set[str]) -> bool:
    return node.op_type in ("Transpose", "Identity") and node.input[0] in constants
