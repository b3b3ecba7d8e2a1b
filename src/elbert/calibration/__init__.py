"""Calibration: an operating point chosen, measured, and where asked certified, on data."""

from elbert.calibration.calibrate import AsGood, Faster, Promised, Wish, calibrate
from elbert.calibration.certify import Certified, certify, sequence
from elbert.calibration.choose import fastest, figures, most_accurate
from elbert.calibration.risk import Loss, losses, p_value, texts_needed

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
