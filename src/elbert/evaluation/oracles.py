"""Oracles: exits that need the future. They bound what any policy could do; reports only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elbert.evaluation.metrics import decided, right
from elbert.evaluation.outputs import Outputs


@dataclass(frozen=True)
class Oracle:
    """The accuracy and the mean depth of an exit that knows what no policy can know."""

    name: str
    accuracy: float
    mean_depth: float


def oracles(outputs: Outputs) -> list[Oracle]:
    """Earliest correct depth; earliest that agrees with the last; earliest from which all agree with the last."""
    correct = right(outputs)
    said = decided(outputs.probabilities, outputs).reshape(len(outputs), outputs.depths, -1)
    agrees = (said == said[:, -1:]).all(-1)
    settled = np.flip(np.logical_and.accumulate(np.flip(agrees, 1), axis=1), 1)
    # A text that no depth gets right is let go at the first: no depth would help it.
    hopeless = ~correct.any(1)
    return [
        _oracle("earliest correct", np.where(hopeless, 1, first(correct)), correct),
        _oracle("earliest as the last", first(agrees), correct),
        _oracle("earliest settled", first(settled), correct),
    ]


def overthinking(outputs: Outputs) -> float:
    """The share of texts that some earlier depth gets right and the last gets wrong."""
    correct = right(outputs)
    return float((correct.any(1) & ~correct[:, -1]).mean())


def first(holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``[n]``: the first depth (from 1) at which something holds ``[n, depths]``."""
    return np.asarray(holds.argmax(1) + 1, np.int64)


def _oracle(name: str, depth: NDArray[np.int64], correct: NDArray[np.bool_]) -> Oracle:
    there = correct[np.arange(len(depth)), depth - 1]
    return Oracle(name, float(there.mean()), float(depth.mean()))
