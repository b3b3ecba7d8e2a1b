"""The holdout comparison: dials are chosen on some texts, scores and tests come from others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from elbert.evaluation import Outputs
from elbert.evaluation.statistics import Interval
from elbert.evaluation.sweep import SPEEDUPS, Trials
from elbert.exits import Policy
from elbert.exits.policies import OURS

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class FamilyChoice:
    """The policy that a family chooses for a speed-up, measured on texts that it was not chosen on."""

    family: str
    policy: str
    score: float
    mean_depth: float


@dataclass(frozen=True)
class PairedTest:
    """Our family against another on the same texts: the difference in score, and the ``p`` of a paired test."""

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
    found, ours = [], OURS[choose.task.content]
    for speedup in speedups:
        places = {name: s.near(speedup) for name, s in swept.items()}
        chosen = {name: swept[name].policies[i] for name, i in places.items() if i is not None}
        entries = [_score_choice(reporter, name, policy) for name, policy in chosen.items()]
        rivals = {name: policy for name, policy in chosen.items() if name != ours}
        duels = [_compare_pair(reporter, chosen[ours], name, p) for name, p in rivals.items()] if ours in chosen else []
        found.append(CostComparison(speedup, entries, duels))
    return found


def _score_choice(trials: Trials, family: str, policy: Policy) -> FamilyChoice:
    depth = trials.depth(policy)
    return FamilyChoice(family, str(policy), trials.score(policy), float(depth.mean()))


def _compare_pair(trials: Trials, ours: Policy, rival: str, theirs: Policy) -> PairedTest:
    return PairedTest(rival, *trials.compare(ours, theirs))
