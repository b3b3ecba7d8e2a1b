"""Which label is taken for which, at every depth and where the policy let the texts leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.evaluation import Outputs
from elbert.evaluation.metrics import decided

MOST_CLASSES = 8  # more, and a matrix says less than its largest entries
PAIRS = 10


@dataclass(frozen=True, slots=True)
class Confused:
    """``count`` texts of ``truth`` were answered ``said``; for multi-label one of the two is empty (missed, extra)."""

    truth: str
    said: str
    count: int


@dataclass(frozen=True)
class Confusion:
    """Per depth, and (last of each) where the texts left.

    matrices: ``[depths + 1][classes][classes]`` counts, row the truth, column what was said; None for multi-label
              models and more than :data:`MOST_CLASSES` classes
    pairs:    ``[depths + 1]`` lists of what was confused most often, most frequent first
    """

    matrices: tuple[tuple[tuple[int, ...], ...], ...] | None
    pairs: tuple[tuple[Confused, ...], ...]


def confusion(outputs: Outputs, exits: NDArray[np.int64]) -> Confusion:
    """Count, over labelled outputs and the depths (from 1) at which the texts left ``[n]``."""
    answers, names, truth = decided(outputs.probabilities, outputs), outputs.label_names, outputs.labels
    views = [*np.moveaxis(answers, 1, 0), answers[np.arange(len(outputs)), exits - 1]]
    if outputs.multi_label:
        return Confusion(None, tuple(_per_label(said, truth, names) for said in views))
    counts = [_matrix(said, truth, len(names)) for said in views]
    small = len(names) <= MOST_CLASSES
    return Confusion(
        matrices=tuple(tuple(map(tuple, c.tolist())) for c in counts) if small else None,
        pairs=tuple(_pairs(c, names) for c in counts),
    )


def _matrix(said: NDArray[Any], truth: NDArray[Any], classes: int) -> NDArray[np.int64]:
    return np.bincount(truth * classes + said, minlength=classes**2).reshape(classes, classes)


def _pairs(matrix: NDArray[np.int64], labels: tuple[str, ...]) -> tuple[Confused, ...]:
    wrong = matrix * (1 - np.eye(len(matrix), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    places = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return tuple(Confused(labels[t], labels[s], int(wrong[t, s])) for t, s in places if wrong[t, s])


def _per_label(said: NDArray[Any], truth: NDArray[Any], labels: tuple[str, ...]) -> tuple[Confused, ...]:
    missed, extra = ((truth == 1) & (said == 0)).sum(0), ((truth == 0) & (said == 1)).sum(0)
    found = [Confused(name, "", int(n)) for name, n in zip(labels, missed, strict=True)]
    found += [Confused("", name, int(n)) for name, n in zip(labels, extra, strict=True)]
    return tuple(sorted((c for c in found if c.count), key=lambda c: -c.count)[:PAIRS])
