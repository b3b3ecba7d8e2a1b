"""Calibration: operating points chosen, measured and certified on data."""

from __future__ import annotations

from elbert.calibration.certify import (
    CertifiedPolicy,
    Loss,
    certify,
    compute_losses,
    compute_p_value,
    min_texts,
    order_candidates,
)
from elbert.calibration.search import (
    CertifiedRisk,
    Goal,
    MaxDrop,
    MinSpeedup,
    calibrate,
    find_fastest,
    find_most_accurate,
    measure_policy,
)

__all__ = [
    "CertifiedPolicy",
    "CertifiedRisk",
    "Goal",
    "Loss",
    "MaxDrop",
    "MinSpeedup",
    "calibrate",
    "certify",
    "compute_losses",
    "compute_p_value",
    "find_fastest",
    "find_most_accurate",
    "measure_policy",
    "min_texts",
    "order_candidates",
]
