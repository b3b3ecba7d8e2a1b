"""Export: one ONNX file that runs the layer in a loop and ends each row when its policy decides."""

from __future__ import annotations

from elbert.export.dials import Dials
from elbert.export.onnx_file import export
from elbert.export.quantization import Dtype

__all__ = ["Dials", "Dtype", "export"]
