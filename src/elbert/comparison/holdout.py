"""The holdout comparison: dials are chosen on some texts, accuracy and tests come from others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from elbert.evaluation import Outputs
from elbert.evaluation.statistics import Interval, mcnemar, mean_interval
from elbert.evaluation.sweep import SPEEDUPS, Trials
from elbert.exits import Policy
from elbert.exits.policies import OURS

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class FamilyChoice:
    """The policy that a family chooses for a speed-up, measured on texts that it was not chosen on."""

    family: str
    policy: str
    accuracy: float
    mean_depth: float


@dataclass(frozen=True)
class PairedTest:
    """The window against another family on the same texts: the difference in accuracy, and McNemar's exact ``p``."""

    rival: str
    difference: Interval
    p: float

    @property
    def verdict(self) -> str:
        """ "better", "worse" or "no difference" of the window, at :data:`SIGNIFICANT`."""
        if self.p > SIGNIFICANT:
            return "no difference"
        return "better" if self.difference.value > 0 else "worse"


@dataclass(frozen=True)
class CostComparison:
    """All families at one layer speed-up; families without a policy that fast are absent."""

    speedup: float
    entries: list[FamilyChoice]
    duels: list[PairedTest]


def compare_at_speedups(
    choose: Outputs, report: Outputs, families: Mapping[str, Sequence[Policy]], speedups: Sequence[float] = SPEEDUPS
) -> list[CostComparison]:
    """For every speed-up, choose each family's best policy at that cost on ``choose``, measure on ``report``."""
    chooser, reporter = Trials(choose), Trials(report)
    swept = {name: chooser.sweep(policies) for name, policies in families.items()}
    found = []
    for speedup in speedups:
        places = {name: s.near(speedup) for name, s in swept.items()}
        chosen = {name: swept[name].policies[i] for name, i in places.items() if i is not None}
        entries = [_score_choice(reporter, name, policy) for name, policy in chosen.items()]
        rivals = {name: policy for name, policy in chosen.items() if name != OURS}
        duels = [_compare_pair(reporter, chosen[OURS], name, p) for name, p in rivals.items()] if OURS in chosen else []
        found.append(CostComparison(speedup, entries, duels))
    return found


def _score_choice(trials: Trials, family: str, policy: Policy) -> FamilyChoice:
    depth = trials.depth(policy)
    return FamilyChoice(family, str(policy), float(trials.correct(policy).mean()), float(depth.mean()))


def _compare_pair(trials: Trials, ours: Policy, rival: str, theirs: Policy) -> PairedTest:
    right, wrong = trials.correct(ours), trials.correct(theirs)
    difference = mean_interval(right.astype(int) - wrong.astype(int))
    return PairedTest(rival, difference, mcnemar(right, wrong))
