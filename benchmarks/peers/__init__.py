"""What people would use instead of us, over the same folder and texts, all returning probabilities.

    workshop = Workshop(cache=Path("/tmp/peers"), calibration=tuple(unlabelled_texts))
    for peer in PEERS:
        if not peer.missing():
            classify = peer.prepare(folder, peer.batch, workshop)  # batch 1 to measure latency
            probabilities = classify(texts)  # [texts, classes], in the texts' order

``peer.batch`` is the fastest of 1, 8, 32 and 64 for the bundled model on short sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from peers import onnx_, openvino_, transformers_
from peers.workshop import Classify, Prepare, Workshop

__all__ = ["PEERS", "Classify", "Peer", "Workshop"]


@dataclass(frozen=True)
class Peer:
    """One contestant."""

    name: str
    precision: str
    """float32, bfloat16 or int8: of the products with weights"""
    batch: int
    """rows of a batch at which it is fastest"""
    prepare: Prepare
    needs: tuple[str, ...] = ()
    """modules beyond elbert's own dependencies"""

    def missing(self) -> tuple[str, ...]:
        """Those of its needs that are not installed."""
        return tuple(module for module in self.needs if find_spec(module) is None)


EXPORT = ("onnx", "onnxscript")
ONNX = (*EXPORT, "onnxruntime")
OPENVINO = (*EXPORT, "openvino")

PEERS = (
    Peer("pipeline", "float32", 1, transformers_.pipeline),
    Peer("transformers", "float32", 32, transformers_.float32),
    Peer("transformers", "bfloat16", 32, transformers_.bfloat16),
    Peer("onnxruntime", "float32", 32, onnx_.float32, ONNX),
    Peer("onnxruntime", "int8", 32, onnx_.int8, ONNX),
    Peer("openvino", "float32", 32, openvino_.float32, OPENVINO),
    Peer("openvino", "bfloat16", 32, openvino_.bfloat16, OPENVINO),
    Peer("openvino", "int8", 32, openvino_.int8, (*OPENVINO, "nncf")),
)
