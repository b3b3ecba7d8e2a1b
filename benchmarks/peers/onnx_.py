"""onnxruntime on the CPU, every graph optimisation on: float32 and dynamic int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peers.batching import Batch, batched
from peers.onnx_files import exported, quantised
from peers.workshop import Classify, Workshop


def float32(folder: Path, batch: int, workshop: Workshop) -> Classify:
    """The exported graph as it is.

    onnxruntime fuses GELU and layer norms by itself; ``onnxruntime.transformers``' optimizer fuses attention on top
    (in eleven of twelve layers) and was measured to be no faster here, so it is left out.
    """
    return _batched(exported(folder, workshop), folder, batch, workshop)


def int8(folder: Path, batch: int, workshop: Workshop) -> Classify:
    """All products with weights by MatMulInteger, which the runtime fuses with the scales around it."""
    return _batched(quantised(folder, workshop), folder, batch, workshop)


def _batched(path: Path, folder: Path, batch: int, workshop: Workshop) -> Classify:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = workshop.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(inputs: Batch) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run(None, inputs)[0]
        return found

    return batched(folder, batch, run)
