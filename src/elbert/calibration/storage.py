"""What calibration stores in a model folder: the operating point with its conditions, and the renewed model card."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from elbert.bundle import EXITS_FILE, Conditions, ConditionsWarning, OperatingPoint, add_point, files_hash
from elbert.bundle.model_card import find_training_data, write_card
from elbert.bundle.publishing import copy_model
from elbert.calibration.certify import check_loss
from elbert.calibration.parts import DataPart
from elbert.calibration.search import CertifiedRisk, Goal, MaxDrop, MinSpeedup
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.inference import CUT, Windows
from elbert.tasks import Task


def make_goal(
    *,
    speedup: float | None = None,
    max_drop: float | None = None,
    risk: float | None = None,
    error: float = 0.05,
    loss: str | None = None,
    tolerance: float | None = None,
    labelled: bool,
    depths: int,
    task: Task,
) -> Goal:
    """Return the goal: one of ``speedup``, ``max_drop`` and ``risk``.

    Raises:
        InputError: none or several of them are set, one is out of range, or it needs labels that the data does not
            have.
    """
    if sum(value is not None for value in (speedup, max_drop, risk)) != 1:
        raise InputError("expected one goal: speedup, max_drop or risk")
    if speedup is not None:
        return MinSpeedup(speedup).check_depths(depths)
    if risk is None:
        return MaxDrop(max_drop or 0.0)
    chosen = loss or ("harmful-flip" if labelled and task.is_graded else "inconsistency")
    check_loss(chosen, tolerance, task)
    if chosen == "harmful-flip" and not labelled:
        raise InputError(
            "harmful flips need labels, and this data has none: use the loss inconsistency (--loss inconsistency)"
        )
    return CertifiedRisk(risk, error, chosen, tolerance)  # type: ignore[arg-type]  # it is one of the two


def store_point(
    point: OperatingPoint,
    name: str,
    classifier: Classifier,
    *,
    data: str,
    dtypes: Sequence[str],
    folder: Path,
    default: bool = False,
    windows: Windows | None = None,
) -> OperatingPoint:
    """Add a point to ``exits.json`` of a folder, with the conditions of its measurement; return it as written.

    ``data`` is the hash of the data, ``windows`` how long texts were read, where they were not cut. If ``folder`` is
    not that of the classifier, the model is copied there first. The earlier measurements of the same policy are kept.
    Data that the model was trained or validated on gives a :class:`ConditionsWarning`.
    """
    if name_of_data := find_training_data(classifier.bundle.folder, data):
        warnings.warn(
            f"this model was trained or validated on {name_of_data}: the figures of {name!r} are too good on "
            "such texts, and a certificate does not hold; calibrate on other texts",
            ConditionsWarning,
            stacklevel=3,
        )
    conditions = Conditions(
        weights=classifier.bundle.weights_hash,
        dtypes=tuple(dtypes),
        max_length=classifier.tokeniser.max_length,
        data=data,
        made=datetime.now(UTC).date().isoformat(),
        long=CUT if windows is None else str(windows),
    )
    if folder.absolute() != classifier.bundle.folder.absolute():
        copy_model(classifier.bundle.folder, folder)
    stored = add_point(folder / EXITS_FILE, name, replace(point, conditions=conditions), default=default)
    write_card(folder)
    return stored


def hash_data(data: object, part: DataPart) -> str:
    """Return the SHA-256 of a data file; of data in memory, that of its texts and targets as JSON lines."""
    if isinstance(data, str | Path):
        return files_hash([Path(data)])
    digest = hashlib.sha256()
    labels = [None] * len(part) if part.labels is None else part.labels.values.tolist()
    for example, label in zip(part.examples, labels, strict=True):
        digest.update(json.dumps([example.content(), label]).encode() + b"\n")
    return digest.hexdigest()
