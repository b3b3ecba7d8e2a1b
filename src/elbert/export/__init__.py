"""Export: one ONNX file that runs the layer in a loop and lets every row leave when its policy says so."""

from elbert.export.dials import Dials
from elbert.export.forms import Dtype
from elbert.export.write import export

__all__ = ["Dials", "Dtype", "export"]
