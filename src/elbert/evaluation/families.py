"""Families: a kind of policy with its dials on a fixed grid. The grid knows no data, so it can be tested on any."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np

from elbert.errors import InputError
from elbert.exits import Depth, Full, Policy, Tempered, Window
from elbert.exits.policies import Confidence, Divergence, Entropy, Gap, Patience, PatientConfidence
from elbert.exits.window import AGREE, STABLE, TREND

MARGINS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45)
RANGES = (0.01, 0.02, 0.05, 0.1, 0.2)

Grid = Callable[[int], Iterable[Policy]]


def families(depths: int, names: Sequence[str] | None = None) -> dict[str, list[Policy]]:
    """Policies by family for a model of so many depths; all families, or those named.

    Every family holds ``depth(1)`` and ``full``: whoever may choose its dials may also choose these, and a curve
    that began later or ended earlier than others would be compared with them over another range.

    Raises:
        InputError: no family is called so.
    """
    wanted = list(FAMILIES) if names is None else list(names)
    unknown = [name for name in wanted if name not in FAMILIES]
    if unknown:
        raise InputError(f"no family of policies is called {unknown[0]!r}; expected some of {', '.join(FAMILIES)}")
    return {name: [Full(), Depth(1), *FAMILIES[name](depths)] for name in wanted}


def tempered(policies: Sequence[Policy], temperatures: tuple[float, ...]) -> list[Policy]:
    """The same policies, hearing every depth at its temperature."""
    return [Tempered(policy, temperatures) if policy.signals else policy for policy in policies]


def thresholds(count: int) -> list[float]:
    """From 0 to 1: even above 0.05, even in the logarithm below, where sure classifiers live."""
    few = count // 3
    values = [*np.geomspace(1e-4, 0.05, few, endpoint=False), *np.linspace(0.05, 1, count - few)]
    return [float(f"{v:.3g}") for v in values]


def near_one(count: int) -> list[float]:
    """The same, dense below 1."""
    return [float(f"{1 - t:.6g}") for t in thresholds(count)]


def _windows(depths: int, rule: str, ranges: Sequence[float] = (0.05,)) -> Iterable[Policy]:
    for entropy, size, margin, reach in product(thresholds(45), range(2, depths + 1), MARGINS, ranges):
        yield Window(entropy=entropy, size=size, rule=rule, margin=margin, range=reach)


def _patient_confidences(depths: int) -> Iterable[Policy]:
    return (PatientConfidence(t, e) for t, e in product(range(1, depths), thresholds(90)))


def _divergences(depths: int) -> Iterable[Policy]:
    steps = [float(f"{d:.3g}") for d in np.geomspace(1e-6, math.log(2) * 0.99, 90)]
    return (Divergence(t, d) for t, d in product(range(1, max(depths - 1, 2)), steps))


def _entropy_or_patience(depths: int) -> Iterable[Policy]:
    return (Entropy(e) | Patience(t) for e, t in product(thresholds(90), range(1, depths)))


def gap_or_window(depths: int, gaps: Sequence[float]) -> Iterable[Policy]:
    """ELBERT's window with the gap as its first stage: the same test at two classes, a better one at many.

    Over C classes the normalised entropy counts how many others share what the answer left, which over 150 classes
    says little of whether the answer is right; the gap asks only how far off the second is.
    """
    return (Gap(g) | Window(entropy=0.0, size=size) for g, size in product(gaps, range(2, depths + 1)))


FAMILIES: dict[str, Grid] = {
    "window": lambda depths: _windows(depths, AGREE),
    "window trend": lambda depths: _windows(depths, TREND),
    "window stable": lambda depths: _windows(depths, STABLE, RANGES),
    "entropy": lambda depths: map(Entropy, thresholds(300)),
    "confidence": lambda depths: map(Confidence, near_one(300)),
    "gap": lambda depths: map(Gap, near_one(300)),
    "patience": lambda depths: map(Patience, range(depths)),
    "patient_confidence": _patient_confidences,
    "divergence": _divergences,
    "entropy | patience": _entropy_or_patience,
    "gap | window": lambda depths: gap_or_window(depths, near_one(90)),
    "depth": lambda depths: map(Depth, range(2, depths)),
}
