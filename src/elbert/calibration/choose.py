"""Choose: the policy that gives most for what was asked, on a part of the data; and what it is worth on the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elbert.errors import InputError
from elbert.evaluation.paired import Interval, mean_interval
from elbert.evaluation.sweep import Trials
from elbert.exits import Policy


def most_accurate(tuning: Trials, candidates: Sequence[Policy], speedup: float) -> Policy:
    """The most accurate policy of at least that layer speed-up.

    Raises:
        InputError: none is that fast.
    """
    swept = tuning.sweep(candidates)
    found = swept.at(speedup)
    if found is None:
        raise InputError(f"no policy of these families reaches a layer speed-up of {speedup:g}; name more families")
    return swept.policies[found]


def fastest(tuning: Trials, candidates: Sequence[Policy], points: float) -> Policy:
    """The fastest policy that loses at most so many points of accuracy against full depth."""
    swept = tuning.sweep(candidates)
    return swept.policies[swept.within(float(tuning.right[:, -1].mean()) - points / 100)]


def figures(trials: Trials, policy: Policy, *, labelled: bool = True) -> dict[str, Any]:
    """What a policy is worth on some outputs, with 95 % confidence intervals (bootstrap, paired for the loss).

    Without labels the last depth's answers stand for them, and accuracy is called agreement.
    """
    depth, correct, full = trials.depth(policy), trials.correct(policy), trials.right[:, -1]
    lost = mean_interval(full.astype(int) - correct.astype(int))
    counts = np.bincount(depth, minlength=trials.outputs.depths + 1)[1:]
    answers = (
        {"accuracy": _share(correct), "accuracy_full": _share(full)} if labelled else {"agreement": _share(correct)}
    )
    return {
        "n": len(trials.outputs),
        **answers,
        "points_lost": _told(lost, 100, 2),
        "mean_depth": round(float(depth.mean()), 3),
        "layer_speedup": round(trials.outputs.depths / float(depth.mean()), 3),
        "depths": {str(d): int(count) for d, count in enumerate(counts, 1) if count},
    }


def _share(correct: Any) -> float:
    return round(float(correct.mean()), 4)


def _told(interval: Interval, scale: float, digits: int) -> dict[str, float]:
    values = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {name: round(value * scale, digits) for name, value in values.items()} | {"confidence": interval.confidence}
