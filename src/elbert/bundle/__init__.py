"""Bundle: the model folder on disk, with its operating points and certificates."""

from __future__ import annotations

from elbert.bundle.certificate import Certificate, Conditions, ConditionsWarning, describe_tolerance, files_hash
from elbert.bundle.conditions_check import ConditionsCheck
from elbert.bundle.folder import Bundle, bundled_model
from elbert.bundle.operating_points import (
    EXITS_FILE,
    OperatingPoint,
    add_point,
    check_point_name,
    write_points,
    write_precisions,
)

__all__ = [
    "EXITS_FILE",
    "Bundle",
    "Certificate",
    "Conditions",
    "ConditionsCheck",
    "ConditionsWarning",
    "OperatingPoint",
    "bundled_model",
    "check_point_name",
    "describe_tolerance",
    "files_hash",
    "add_point",
    "write_points",
    "write_precisions",
]
