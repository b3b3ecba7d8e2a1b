"""The honest comparison: dials chosen on some texts, figures and tests on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from elbert.evaluation import Outputs
from elbert.evaluation.statistics import Interval, mcnemar, mean_interval
from elbert.evaluation.sweep import SPEEDUPS, Trials
from elbert.exits import Policy

OURS = "window"
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Entry:
    """A family's choice for a speed-up, and what it is worth on the texts that did not choose it."""

    family: str
    policy: str
    accuracy: float
    mean_depth: float


@dataclass(frozen=True)
class Duel:
    """The window against a rival on the same texts, in points of accuracy; ``p`` is McNemar's exact test."""

    rival: str
    difference: Interval
    p: float

    @property
    def verdict(self) -> str:
        """Whether the window is better, worse, or neither can be said."""
        if self.p > SIGNIFICANT:
            return "no difference"
        return "better" if self.difference.value > 0 else "worse"


@dataclass(frozen=True)
class Contest:
    """All families at one layer speed-up; those that cannot be that fast are missing."""

    speedup: float
    entries: list[Entry]
    duels: list[Duel]


def contest(
    choose: Outputs, report: Outputs, families: Mapping[str, Sequence[Policy]], speedups: Sequence[float] = SPEEDUPS
) -> list[Contest]:
    """For every speed-up: each family's best policy of about that cost on ``choose``, compared on ``report``."""
    chooser, reporter = Trials(choose), Trials(report)
    swept = {name: chooser.sweep(policies) for name, policies in families.items()}
    found = []
    for speedup in speedups:
        places = {name: s.near(speedup) for name, s in swept.items()}
        chosen = {name: swept[name].policies[i] for name, i in places.items() if i is not None}
        entries = [_entry(reporter, name, policy) for name, policy in chosen.items()]
        rivals = {name: policy for name, policy in chosen.items() if name != OURS}
        duels = [_duel(reporter, chosen[OURS], name, p) for name, p in rivals.items()] if OURS in chosen else []
        found.append(Contest(speedup, entries, duels))
    return found


def _entry(trials: Trials, family: str, policy: Policy) -> Entry:
    depth = trials.depth(policy)
    return Entry(family, str(policy), float(trials.correct(policy).mean()), float(depth.mean()))


def _duel(trials: Trials, ours: Policy, rival: str, theirs: Policy) -> Duel:
    right, wrong = trials.correct(ours), trials.correct(theirs)
    difference = mean_interval(right.astype(int) - wrong.astype(int))
    return Duel(rival, difference, mcnemar(right, wrong))
