"""Choose every dial of every policy on the calibration part. This file reads no test text.

What is chosen is a :class:`Choices`; ``lab.report`` applies it to the test part, and chooses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from elbert.calibration import Loss, certify, order_candidates
from elbert.calibration.certify import min_texts
from elbert.comparison.comparison import add_tempered
from elbert.evaluation import Outputs
from elbert.evaluation.sweep import (
    SPEEDUPS,
    SweepResult,
    Trials,
    build_families,
    expand_family,
)
from elbert.evaluation.temperature import fit_temperatures
from elbert.exits import Policy
from elbert.exits.policies import spaced, spaced_near_one
from elbert.exits.rules import Depths, Family

PAPERS = "window"  # ELBERT's own
OURS = "gap | window"  # what is compared with all others: ELBERT's with the gap as its first stage
ALL = "all families"  # the best of everything: what elbert calibrate would find
GOALS = (1.7, 3.0, 5.0)  # layer speed-ups of the goals
MARGIN = 1.08  # a goal's policies cost what this much more speed-up does, or 5 % more or less: other texts exit later
RISKS = (0.01, 0.02, 0.05)
LOSSES: tuple[Loss, ...] = ("harmful-flip", "inconsistency")
ERROR = 0.05
DIALS = 300
TUNING = 0.4  # of the calibration part orders the policies; the rest certifies


@dataclass(frozen=True)
class Promise:
    """A certified policy, or why there is none."""

    loss: Loss
    risk: float
    n: int
    policy: Policy | None = None
    flips: int = 0
    needed: int | None = None  # texts, where there are too few


@dataclass(frozen=True)
class Choices:
    """What the calibration part chose, by family.

    near:    at each speed-up, the best policy of about that cost
    fronts:  every policy worth its cost, with that cost
    as_good: the cheapest that loses nothing there
    goals:   the most accurate of a little more than a goal's speed-up
    """

    n: int
    near: Mapping[float, Mapping[str, Policy]]
    fronts: Mapping[str, Sequence[tuple[float, Policy]]]
    as_good: Mapping[str, Policy]
    goals: Mapping[float, Mapping[str, Policy]]
    promises: Sequence[Promise] = field(default_factory=tuple)


def choose(calibration: Outputs, names: Sequence[str] | None = None, speedups: Sequence[float] = SPEEDUPS) -> Choices:
    """Choose the dials of all families, or of those named, at every speed-up."""
    trials, candidates = Trials(calibration), build_candidates(calibration.depths, names)
    everything = add_tempered(candidates, fit_temperatures(calibration))
    swept = {name: trials.sweep(policies) for name, policies in everything.items()}
    swept[ALL] = merge_sweeps(list(swept.values()))
    least = float(trials.right[:, -1].mean())
    return Choices(
        n=len(calibration),
        near={s: pick_policies({name: each.near(s) for name, each in swept.items()}, swept) for s in speedups},
        fronts={n: [(float(s.mean_depth[i]), s.policies[i]) for i in s.front] for n, s in swept.items()},
        as_good={name: each.policies[each.within(least)] for name, each in swept.items()},
        goals={s: pick_policies({name: each.near(s * MARGIN) for name, each in swept.items()}, swept) for s in GOALS},
        promises=certify_promises(calibration, [policy for policies in candidates.values() for policy in policies]),
    )


def choose_near(trials: Trials) -> dict[float, Policy]:
    """Ours at every speed-up, chosen on these outputs."""
    swept = trials.sweep(build_candidates(trials.outputs.depths, [OURS])[OURS])
    places = {speedup: swept.near(speedup) for speedup in SPEEDUPS}
    return {speedup: swept.policies[i] for speedup, i in places.items() if i is not None}


def build_candidates(depths: int, names: Sequence[str] | None) -> dict[str, list[Policy]]:
    """The library's families, the windows with as many first stages as the families of one rule have.

    With fewer they have no policy at some costs (10x on a set of several classes), and cannot be compared there.
    """
    found = build_families(depths, names)
    if PAPERS in found:
        grid = {"entropy": spaced(DIALS), "size": Depths(2)}
        found[PAPERS] += expand_family(Family(PAPERS, (("window", grid),)), depths)
    if OURS in found:
        gaps = {"threshold": spaced_near_one(DIALS)}
        window = {"entropy": (0.0,), "size": Depths(2)}
        found[OURS] += expand_family(Family(OURS, (("gap", gaps), ("window", window))), depths)
    return found


def pick_policies(places: Mapping[str, int | None], swept: Mapping[str, SweepResult]) -> dict[str, Policy]:
    """The policies at some places of their sweeps; families that cannot be that fast are omitted."""
    return {name: swept[name].policies[i] for name, i in places.items() if i is not None}


def merge_sweeps(swept: Sequence[SweepResult]) -> SweepResult:
    """Several sweeps over the same outputs as one."""
    return SweepResult(
        [policy for each in swept for policy in each.policies],
        np.concatenate([each.mean_depth for each in swept]),
        np.concatenate([each.score for each in swept]),
        swept[0].depths,
    )


def certify_promises(calibration: Outputs, candidates: Sequence[Policy]) -> list[Promise]:
    """For every loss and risk the fastest certified policy: ordered on one part of these texts, tested on the other."""
    tuning, rest = calibration.split(TUNING)
    ordering, part = Trials(tuning), Trials(rest)
    found = []
    for loss in LOSSES:
        ordered = order_candidates(ordering, candidates, loss)
        for risk in RISKS:
            needed = min_texts(risk, ERROR)
            if len(rest) < needed:
                found.append(Promise(loss, risk, len(rest), needed=needed))
                continue
            certified = certify(ordered, [part], loss, risk, ERROR)
            found.append(Promise(loss, risk, len(rest), certified.policy, certified.certificate.flips))
    return found


__all__ = ["ALL", "GOALS", "OURS", "PAPERS", "Choices", "Promise", "choose", "choose_near"]
