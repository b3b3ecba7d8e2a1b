"""Calibration: an operating point chosen, measured, and where asked certified, on data."""

from elbert.calibration.calibrate import AsGood, Faster, Promised, Wish, calibrate, split
from elbert.calibration.certify import Certified, certify, sequence
from elbert.calibration.choose import fastest, figures, most_accurate
from elbert.calibration.risk import Loss, losses, p_value, texts_needed
from elbert.calibration.temperature import fitted_temperatures

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
    "fitted_temperatures",
    "losses",
    "most_accurate",
    "p_value",
    "sequence",
    "split",
    "texts_needed",
]
