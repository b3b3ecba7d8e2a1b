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
from elbert.bundle.model_card import write_card
from elbert.bundle.publishing import copy_model
from elbert.bundle.training_record import SeenTexts, find_seen
from elbert.calibration.certify import check_loss
from elbert.calibration.parts import DataPart
from elbert.calibration.search import CertifiedRisk, Goal, MaxDrop, MinSpeedup
from elbert.classifier import Classifier
from elbert.data.sketch import Content
from elbert.errors import InputError
from elbert.inference import CUT, Windows
from elbert.tasks import Task

MOST_SEEN = 0.5  # share of seen texts from which no certificate is made; a smaller one can be chance, and is stored


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


def check_seen(classifier: Classifier, contents: Sequence[Content], data: str, *, certifies: bool) -> SeenTexts | None:
    """Return how many of the texts to measure the model was trained or validated on; None if it is no notable share.

    ``data`` is the hash of the data. A share gives a :class:`ConditionsWarning`.

    Raises:
        InputError: most texts are such ones, and ``certifies``: a certificate would not hold.
    """
    seen = find_seen(classifier.bundle.folder, contents, data)
    if seen is None:
        return None
    if certifies and seen.share >= MOST_SEEN:
        raise InputError(f"{seen}: a certificate would not hold for new texts; calibrate on other texts")
    warnings.warn(
        f"{seen}: the figures are too good, and a certificate may not hold; calibrate on other texts",
        ConditionsWarning,
        stacklevel=3,
    )
    return seen


def store_point(
    point: OperatingPoint,
    name: str,
    classifier: Classifier,
    *,
    data: str,
    dtypes: Sequence[str],
    folder: Path,
    seen: SeenTexts | None,
    default: bool = False,
    windows: Windows | None = None,
) -> OperatingPoint:
    """Add a point to ``exits.json`` of a folder, with the conditions of its measurement; return it as written.

    ``data`` is the hash of the data, ``seen`` is what :func:`check_seen` returns, ``windows`` how long texts were read,
    where they were not cut. If ``folder`` is not that of the classifier, the model is copied there first. The earlier
    measurements of the same policy are kept.
    """
    conditions = Conditions(
        weights=classifier.bundle.weights_hash,
        dtypes=tuple(dtypes),
        max_length=classifier.tokeniser.max_length,
        data=data,
        made=datetime.now(UTC).date().isoformat(),
        long=CUT if windows is None else str(windows),
        seen=0.0 if seen is None else round(seen.share, 4),
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
