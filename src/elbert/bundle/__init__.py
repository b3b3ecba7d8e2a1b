"""Bundle: the model folder on disk."""

from __future__ import annotations

from elbert.bundle.certificate import Certificate, Conditions, ConditionsWarning, files_hash
from elbert.bundle.folder import Bundle, bundled_model
from elbert.bundle.operating_points import (
    EXITS_FILE,
    OperatingPoint,
    check_name,
    entry_of,
    write_points,
    write_precisions,
)

__all__ = [
    "Bundle",
    "Certificate",
    "Conditions",
    "ConditionsWarning",
    "EXITS_FILE",
    "OperatingPoint",
    "bundled_model",
    "check_name",
    "entry_of",
    "files_hash",
    "write_points",
    "write_precisions",
]
