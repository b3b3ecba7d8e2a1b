"""Calibration: an operating point chosen, measured, and where asked certified, on data."""

from __future__ import annotations

from elbert.calibration.certify import Certified, Loss, certify, losses, p_value, sequence, texts_needed
from elbert.calibration.search import AsGood, Faster, Promised, Wish, calibrate, fastest, figures, most_accurate

__all__ = [
    "AsGood",
    "Certified",
    "Faster",
    "Loss",
    "Promised",
    "Wish",
    "calibrate",
    "certify",
    "fastest",
    "figures",
    "losses",
    "most_accurate",
    "p_value",
    "sequence",
    "texts_needed",
]
