"""The data files of ``elbert calibrate``, and the classifier in each precision that it measures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from elbert.calibration.parts import DataPart, DataParts, make_parts
from elbert.cli.flags import load_classifier
from elbert.cli.inputs import read_data
from elbert.errors import InputError
from elbert.inference import CUT

if TYPE_CHECKING:
    from elbert.classifier import Classifier


def load_precisions(arguments: argparse.Namespace, classifier: Classifier) -> dict[str, Classifier]:
    """Return the classifier, and those of ``--also-dtype``, by precision."""
    also = [dtype for dtype in arguments.also_dtype if dtype != classifier.dtype]
    others = {d: load_classifier(argparse.Namespace(**vars(arguments) | {"dtype": d}), "full") for d in also}
    return {classifier.dtype: classifier} | others


def read_parts(arguments: argparse.Namespace, classifier: Classifier) -> DataParts:
    """Read ``--tuning`` and ``--data``, or split ``--data`` into the two parts.

    Where policies in a fixed order are certified, all of ``--data`` is measured.

    Raises:
        DataError: a file cannot be used, or only one of them has labels.
        InputError: one of the parts is empty.
    """
    if arguments.data == "-":
        raise InputError("calibration stores the hash of its data file: use a file, not standard input")
    is_cut = arguments.long in (None, CUT)
    whole = DataPart(*read_data(arguments.data, arguments, classifier, is_cut=is_cut))
    tuning = None
    if arguments.tuning is not None:
        tuning = DataPart(*read_data(arguments.tuning, arguments, classifier, is_cut=is_cut))
    is_order_fixed = bool(arguments.policies) and arguments.risk is not None
    return make_parts(whole, tuning, arguments.tuning_share, is_order_fixed=is_order_fixed, source=arguments.data)
