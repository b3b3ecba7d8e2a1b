"""OpenVINO on the CPU: float32, bfloat16, and int8 with calibrated activations."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers.batching import Batch, batched, padded
from peers.onnx_files import exported
from peers.workshop import Classify, Workshop

CALIBRATION = 300


def float32(folder: Path, batch: int, workshop: Workshop) -> Classify:
    """The converted model in float32."""
    return _batched(compiled(converted(folder, workshop), "f32", workshop), folder, batch)


def bfloat16(folder: Path, batch: int, workshop: Workshop) -> Classify:
    """The converted model, products and attention in bfloat16."""
    return _batched(compiled(converted(folder, workshop), "bf16", workshop), folder, batch)


def int8(folder: Path, batch: int, workshop: Workshop) -> Classify:
    """Static int8 by NNCF: ranges of activations are measured on the workshop's calibration texts."""
    return _batched(compiled(quantised(folder, workshop), "f32", workshop), folder, batch)


def converted(folder: Path, workshop: Workshop) -> Any:
    """The exported ONNX graph as an OpenVINO model, rows and tokens of any number."""
    import openvino

    return openvino.convert_model(exported(folder, workshop))


def quantised(folder: Path, workshop: Workshop) -> Any:
    """Weights and activations in int8, kept in the workshop; other calibration texts need another cache."""
    import nncf
    import openvino

    path = workshop.path(folder, "int8.xml")
    if not path.exists():
        if not workshop.calibration:
            raise ValueError("OpenVINO's int8 needs texts to calibrate on, got none: fill Workshop.calibration")
        data = nncf.Dataset(_calibration(folder, workshop))
        model = nncf.quantize(
            converted(folder, workshop), data, model_type=nncf.ModelType.TRANSFORMER, subset_size=CALIBRATION
        )
        openvino.save_model(model, path, compress_to_fp16=False)
    return openvino.Core().read_model(path)


def _calibration(folder: Path, workshop: Workshop) -> list[Batch]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = tokenizer(list(workshop.calibration[:CALIBRATION]), truncation=True)["input_ids"]
    return [padded([row], tokenizer.pad_token_id) for row in rows]  # one text each: no padding in the ranges


def compiled(model: Any, precision: str, workshop: Workshop) -> Any:
    """The model for this CPU; ``precision`` is of what is not quantised."""
    import openvino

    hints = {
        "PERFORMANCE_HINT": "LATENCY",  # one request at a time on all threads
        "INFERENCE_NUM_THREADS": workshop.threads,
        "INFERENCE_PRECISION_HINT": precision,
    }
    return openvino.Core().compile_model(model, "CPU", hints)


def executed(model: Any) -> Counter[str]:
    """How many products with weights a compiled model runs in each precision, as the runtime reports."""
    infos = [node.get_rt_info() for node in model.get_runtime_model().get_ops()]
    kinds = [(info["layerType"].astype(str), info["primitiveType"].astype(str)) for info in infos]
    # the primitive's name ends in the precision it computes in, as in "brgemm_avx512_bf16" or "undef_I8"
    return Counter(name.rsplit("_", 1)[-1].lower() for kind, name in kinds if kind in ("FullyConnected", "MatMul"))


def _batched(model: Any, folder: Path, batch: int) -> Classify:
    request = model.create_infer_request()

    def run(inputs: Batch) -> NDArray[np.float32]:
        found: NDArray[np.float32] = request.infer(inputs)[0].copy()  # the request reuses its output
        return found

    return batched(folder, batch, run)
