"""Oracles: exits that use labels or later depths. They bound what any policy can reach, and serve reports only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elbert.evaluation.outputs import Outputs

NEVER = 0  # the "depth" where a condition holds at no depth


@dataclass(frozen=True)
class Oracle:
    """Accuracy and mean depth of exits that no policy can implement."""

    name: str
    accuracy: float
    mean_depth: float


def compute_oracles(outputs: Outputs) -> list[Oracle]:
    """Earliest correct depth; earliest that agrees with the last; earliest from which all agree with the last."""
    correct = outputs.find_right()
    agrees = ~outputs.task.differ(outputs.probabilities, outputs.probabilities[:, -1:])
    # A text that no depth gets right exits at depth 1: more depths would only cost.
    never_correct = ~correct.any(1)
    return [
        _oracle("earliest correct", np.where(never_correct, 1, first_depth(correct)), correct),
        _oracle("earliest as the last", first_depth(agrees), correct),
        _oracle("earliest settled", first_depth(holds_from_here(agrees)), correct),
    ]


def overthinking_rate(outputs: Outputs) -> float:
    """The share of texts that some earlier depth gets right and the last gets wrong."""
    correct = outputs.find_right()
    return float((correct.any(1) & ~correct[:, -1]).mean())


def first_depth(holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``holds [n, depths]`` to ``[n]``: the first depth (from 1) at which it is true; :data:`NEVER` if at none."""
    return np.where(holds.any(1), holds.argmax(1) + 1, NEVER).astype(np.int64)


def holds_from_here(holds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``[n, depths]``: where ``holds [n, depths]`` is true at this depth and at all later ones."""
    return np.flip(np.logical_and.accumulate(np.flip(holds, 1), axis=1), 1)


def _oracle(name: str, depth: NDArray[np.int64], correct: NDArray[np.bool_]) -> Oracle:
    is_correct = correct[np.arange(len(depth)), depth - 1]
    return Oracle(name, float(is_correct.mean()), float(depth.mean()))
