"""Compare: one pass over the data, then thousands of policies over what it said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from elbert.comparison.holdout import Contest, contest
from elbert.errors import InputError
from elbert.evaluation import Outputs, Report, evaluate
from elbert.evaluation.sweep import Swept, Trials, families, tempered
from elbert.evaluation.temperature import fitted_temperatures
from elbert.exits import Policy

TEMPERED = ("window", "entropy")  # families that are also tried at temperatures fitted where dials are chosen
FEWEST = 20  # texts a half; fewer say nothing about anything


@dataclass(frozen=True)
class Comparison:
    """What the data say of every family: swept on all texts, and fairly, chosen on some and measured on others."""

    outputs: Outputs
    report: Report
    swept: Mapping[str, Swept]
    contests: list[Contest]
    choose_n: int
    report_n: int
    default: Policy
    default_depths: list[int]  # texts that leave at each depth under the default policy

    @property
    def policies(self) -> int:
        """How many policies were tried."""
        return sum(len(swept.policies) for swept in self.swept.values())


def compare(
    outputs: Outputs, default: Policy, *, choose: Outputs | None = None, named: Sequence[str] | None = None
) -> Comparison:
    """Compare all families, or those named, on saved outputs.

    The sweep chooses dials on the very texts it measures on: it shows what each family can reach, and flatters those
    with many dials. The contests choose on other texts: ``choose``, or a random half of ``outputs``, which is then left
    out of what they measure.

    Raises:
        InputError: the outputs are of a regression, or too few.
    """
    trials = Trials(outputs)
    candidates = families(outputs.depths, named)
    if choose is None:
        chosen, rest = outputs.split(0.5)
    else:
        chosen, rest = choose, outputs
    if min(len(chosen), len(rest)) < FEWEST:
        raise InputError(f"{len(outputs)} texts are too few to compare policies on; give at least {2 * FEWEST}")
    if chosen.probabilities.shape[1:] != outputs.probabilities.shape[1:]:
        raise InputError("the texts to choose on were run through another model: its depths or classes are others")
    leaving = trials.depth(default)
    hot, fair = fitted_temperatures(outputs), fitted_temperatures(chosen)
    return Comparison(
        outputs=outputs,
        report=evaluate(outputs, {}),
        swept={name: trials.sweep(policies) for name, policies in with_tempered(candidates, hot).items()},
        contests=contest(chosen, rest, with_tempered(candidates, fair)),
        choose_n=len(chosen),
        report_n=len(rest),
        default=default,
        default_depths=[int((leaving == depth).sum()) for depth in range(1, outputs.depths + 1)],
    )


def with_tempered(
    candidates: Mapping[str, Sequence[Policy]], temperatures: tuple[float, ...]
) -> dict[str, Sequence[Policy]]:
    """The families, and some of them once more at temperatures of their own per depth."""
    added = {f"{name}, tempered": tempered(candidates[name], temperatures) for name in TEMPERED if name in candidates}
    return {**candidates, **added}
