"""Compare families of policies: thousands of policies replayed over outputs that were computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from elbert import _html
from elbert._display import plural
from elbert._progress import show_progress
from elbert.comparison.holdout import CostComparison, compare_at_speedups
from elbert.errors import InputError
from elbert.evaluation import FEWEST, Outputs, Report, evaluate
from elbert.evaluation.sweep import SweepResult, Trials, build_families, temper_policies
from elbert.evaluation.temperature import fit_temperatures
from elbert.exits import Policy
from elbert.exits.policies import list_families


@dataclass(frozen=True)
class Comparison:
    """Every family swept on all texts (``swept``), and chosen on some texts and measured on others (``contests``)."""

    outputs: Outputs
    report: Report
    swept: Mapping[str, SweepResult]
    contests: list[CostComparison]
    choose_n: int
    report_n: int
    report_full: float  # full depth's score on the texts that the contests are measured on
    default: Policy
    default_depths: list[int]  # number of texts that exit at each depth under the default policy

    @property
    def policies(self) -> int:
        """The number of policies that were replayed."""
        return sum(len(swept.policies) for swept in self.swept.values())

    def __repr__(self) -> str:
        """The numbers of policies, families and texts, and the score at full depth, in one line."""
        full = f"{self.report.score_name} {self.report_full:.4f} at full depth"
        families = plural(len(self.swept), "family", "families")
        return (
            f"<Comparison: {plural(self.policies, 'policy', 'policies')} of {families}, "
            f"chosen on {plural(self.choose_n, 'text')}, measured on {self.report_n:,}; {full}>"
        )

    def _repr_html_(self) -> str:
        """The table that notebooks show: what each family reaches at each layer speed-up."""
        rows = [(name, *(find_entry(contest, name) for contest in self.contests)) for name in self.swept]
        return _html.table(
            ("family", *(f"{contest.speedup:g}x" for contest in self.contests)),
            rows,
            caption=f"{self.report.score_name} (mean depth) by layer speed-up",
            note=f"Policies are chosen on {plural(self.choose_n, 'text')} and measured on {self.report_n:,} others, "
            f"where full depth has {self.report_full:.3f}.",
        )


def find_entry(contest: CostComparison, family: str) -> str:
    """The score and the mean depth of a family, if it has a policy of that cost."""
    return next((f"{e.score:.3f} ({e.mean_depth:.2f})" for e in contest.entries if e.family == family), "")


def compare(
    outputs: Outputs, default: Policy, *, choose: Outputs | None = None, named: Sequence[str] | None = None
) -> Comparison:
    """Compare all families, or those named, on saved outputs.

    The sweep chooses dials on the texts it measures on: it shows what each family can reach, and flatters families
    with many dials. The comparisons at equal cost choose on other texts: on ``choose``, or on a random half of
    ``outputs``, which is then not used to measure.

    Raises:
        InputError: the outputs are too few, or ``choose`` is of another model.
    """
    trials = Trials(outputs)
    candidates = build_families(outputs.depths, named, outputs.task.content)
    if choose is None:
        chosen, rest = outputs.split(0.5)
    else:
        chosen, rest = choose, outputs
    if min(len(chosen), len(rest)) < FEWEST:
        raise InputError(f"too few texts to compare policies on: {len(outputs)}, expected at least {2 * FEWEST}")
    if chosen.probabilities.shape[1:] != outputs.probabilities.shape[1:]:
        raise InputError("the outputs to choose on are of another model: their depths or classes differ")
    exit_depths = trials.depth(default)
    hot, fair = (try_temperatures(part) for part in (outputs, chosen))
    return Comparison(
        outputs=outputs,
        report=evaluate(outputs, {}),
        swept=sweep_families(trials, add_tempered(candidates, hot)),
        contests=compare_at_speedups(chosen, rest, add_tempered(candidates, fair)),
        choose_n=len(chosen),
        report_n=len(rest),
        report_full=float(evaluate(rest, {}).by_depth[-1][rest.task.score_name]),
        default=default,
        default_depths=[int((exit_depths == depth).sum()) for depth in range(1, outputs.depths + 1)],
    )


def sweep_families(trials: Trials, families: Mapping[str, Sequence[Policy]]) -> dict[str, SweepResult]:
    """Sweep the policies of every family, with a progress bar on terminals and in notebooks."""
    swept = dict[str, SweepResult]()
    with show_progress("policies", sum(map(len, families.values())), " policies") as advance:
        for name, policies in families.items():
            swept[name] = trials.sweep(policies)
            advance(len(policies))
    return swept


def try_temperatures(outputs: Outputs) -> tuple[float, ...] | None:
    """One temperature per depth; None where outputs have none."""
    task = outputs.task
    return fit_temperatures(outputs) if task.content == "probabilities" and not task.per_token else None


def add_tempered(
    candidates: Mapping[str, Sequence[Policy]], temperatures: tuple[float, ...] | None
) -> dict[str, Sequence[Policy]]:
    """Add the families that are also swept with temperatures, one temperature per depth."""
    families = list_families()
    added = {
        f"{name}, tempered": temper_policies(policies, temperatures)
        for name, policies in candidates.items()
        if families[name].is_tempered and temperatures is not None
    }
    return {**candidates, **added}
