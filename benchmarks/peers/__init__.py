"""What people would use instead of us, over the same folder and texts, all returning probabilities.

    workshop = Workshop(cache=folder_for_files, calibration=tuple(unlabelled_texts))
    for peer, classify in prepare_peers(installed_peers(), folder, workshop).items():  # batch=1 to measure latency
        probabilities = classify(texts)  # [texts, classes], in the texts' order

``peer.batch`` is the fastest of 1, 8, 32 and 64 for the bundled model on short sentences.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from elbert.model.precision import Precision
from machine import add_processor_option
from peers import onnx_, openvino_, transformers_
from peers.workshop import Classify, Prepare, Workshop

__all__ = [
    "PEERS",
    "PRECISIONS",
    "Classify",
    "Peer",
    "Workshop",
    "add_precision_options",
    "installed_peers",
    "prepare_peers",
]

PRECISIONS = get_args(Precision)


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


def add_precision_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a benchmark that runs on processors without instructions for some precisions."""
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        default=PRECISIONS,
        help="of products: leave out those that the processor emulates",
    )
    add_processor_option(parser)


def installed_peers(names: Sequence[str] = (), precisions: Sequence[str] = PRECISIONS) -> list[Peer]:
    """Those of these names, or all, and of these precisions that are installed; a line for each of the others."""
    found = []
    for peer in PEERS:
        if (names and peer.name not in names) or peer.precision not in precisions:
            continue
        if missing := peer.missing():
            print(f"left out: {peer.name} {peer.precision} needs {', '.join(missing)} (make .venv/benched)")
        else:
            found.append(peer)
    return found


def prepare_peers(
    peers: Iterable[Peer], folder: Path, workshop: Workshop, *, batch: int | None = None
) -> dict[Peer, Classify]:
    """Load each peer, and return those that classify; a line for each of the others. ``batch``: rows at most."""
    found = {}
    for peer in peers:
        try:
            classify = peer.prepare(folder, min(batch or peer.batch, peer.batch), workshop)
            classify(workshop.calibration[:1])
        except Exception as error:  # of whatever kind: a peer that cannot run here, as OpenVINO's bfloat16 under AVX2
            print(f"left out: {peer.name} {peer.precision} fails here ({type(error).__name__})")
        else:
            found[peer] = classify
    return found
