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
from elbert.calibration.parts import DataPart, DataParts, make_parts, resolve_windows
from elbert.calibration.rankings import calibrate_ranking, hash_lists, split_lists
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
from elbert.calibration.storage import check_seen, hash_data, make_goal, store_point

__all__ = [
    "CertifiedPolicy",
    "CertifiedRisk",
    "DataPart",
    "DataParts",
    "Goal",
    "Loss",
    "MaxDrop",
    "MinSpeedup",
    "calibrate",
    "calibrate_ranking",
    "certify",
    "check_seen",
    "compute_losses",
    "compute_p_value",
    "find_fastest",
    "find_most_accurate",
    "hash_data",
    "hash_lists",
    "make_goal",
    "make_parts",
    "measure_policy",
    "min_texts",
    "order_candidates",
    "resolve_windows",
    "split_lists",
    "store_point",
]
