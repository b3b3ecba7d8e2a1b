"""What a way to train is worth with exits: ours at every speed-up, dials of the run's own calibration part.

Twice: on the test part, which is reported; and on halves of the calibration part, dials of one half tried on the other,
which is what the default way to train is chosen by.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from elbert.evaluation import Outputs
from elbert.evaluation.sweep import Trials
from lab.choosing import near
from lab.reporting import key, rounded, test_figures
from lab.runs import Run

HALVINGS = 4  # each gives two measurements


def early_name(run: Run) -> str:
    """The name of its record."""
    return f"early/{run.base.key}/{run.name}"


def early(run: Run) -> dict[str, Any]:
    """``speedups``: policy, accuracy and mean depth on the test part; ``halves``: accuracy on halves of the other.

    Empty where the outputs are not here and were not read before.
    """
    record, known = run.record(), run.places.records.read(early_name(run))
    if record is None or run.variant.plain:
        return {}
    if known is not None and known["outputs"] == record["outputs"]:
        return dict(known)
    calibration, test = run.outputs("calibration"), run.outputs("test")
    if calibration is None or test is None:
        return {}
    trials, chosen = Trials(test), near(Trials(calibration))
    reported = {key(speedup): test_figures(trials, policy) for speedup, policy in chosen.items()}
    found = {"outputs": record["outputs"], "speedups": reported, "halves": by_halves(calibration)}
    run.places.records.write(early_name(run), found)
    return found


def by_halves(calibration: Outputs) -> dict[str, float]:
    """By speed-up, the mean accuracy on the half that did not choose the dials."""
    found: dict[str, list[float]] = {}
    for seed in range(HALVINGS):
        order = np.random.default_rng(seed).permutation(len(calibration))
        halves = [Trials(calibration.take(half)) for half in np.array_split(order, 2)]
        for chosen_on, tried_on in (halves, halves[::-1]):
            for speedup, policy in near(chosen_on).items():
                found.setdefault(key(speedup), []).append(float(tried_on.correct(policy).mean()))
    return {speedup: rounded(statistics.fmean(values)) for speedup, values in found.items()}
