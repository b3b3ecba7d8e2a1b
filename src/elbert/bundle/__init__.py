"""Bundle: the model folder on disk."""

from elbert.bundle.folder import Bundle, bundled_model
from elbert.bundle.points import EXITS_FILE, OperatingPoint, write_points, write_precisions

__all__ = ["EXITS_FILE", "Bundle", "OperatingPoint", "bundled_model", "write_points", "write_precisions"]
