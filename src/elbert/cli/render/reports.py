"""Evaluations and comparisons as tables for a terminal, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert._display import clean_line, plural
from elbert.cli.render.terminal_tables import print_lines, print_table
from elbert.tasks import TASKS

if TYPE_CHECKING:
    from elbert.evaluation import Report, Timing

Table = tuple[list[str], list[list[str]]]  # the names of the columns, and the rows


def as_json(report: Report, timings: Mapping[str, Timing]) -> dict[str, Any]:
    """Return report and timings as plain values."""
    values = asdict(report)
    for policy in values["policies"]:
        timing = timings.get(policy["policy"])
        policy["wall_clock"] = None if timing is None else asdict(timing)
    return values


def print_report(report: Report, timings: Mapping[str, Timing]) -> None:
    """Print tables of depths and policies, and lines on exits, oracles and timing."""
    print_table(f"{plural(report.n, 'text')}, every fixed depth", *depth_table(report))
    lines: list[str] = []
    if report.policies:
        print_table("policies", *policy_table(report, timings))
        for policy in report.policies:
            reasons = ", ".join(f"{reason} {count}" for reason, count in policy.reasons.items())
            depths = ", ".join(f"{depth}: {count}" for depth, count in policy.depths.items())
            lines += [clean_line(policy.policy), f"  exits by reason: {reasons}", f"  exits by depth: {depths}"]
    if report.oracles:
        oracles = "; ".join(f"{o.name} {o.accuracy:.4f} at mean depth {o.mean_depth:.2f}" for o in report.oracles)
        lines.append(f"oracles (they read all depths, or the label): {oracles}")
        lines.append(f"overthinking (right before, wrong at the last depth): {report.overthinking:.2%}")
    if timings:
        timing = next(iter(timings.values()))
        lines.append(
            f"speed-up: medians of {timing.rounds} interleaved rounds over {plural(timing.texts, 'text')}, "
            "tokenising included, against full depth in the same rounds"
        )
    print_lines(lines)


def depth_table(report: Report) -> Table:
    """Return a table of every ``depth(k)``, the fixed shallower models."""
    from elbert.exits import fixed_depth

    names = list(report.by_depth[0])
    rows = [
        [str(fixed_depth(depth)), *(f"{metrics[name]:.4f}" for name in names)]
        for depth, metrics in enumerate(report.by_depth, 1)
    ]
    return ["policy", *names], rows


def policy_table(report: Report, timings: Mapping[str, Timing]) -> Table:
    """Return a table of every policy's accuracy, calibration error and cost; the other metrics are in the JSON."""
    metric = TASKS[report.problem].score_name
    shown = [name for name in (metric, "ece") if name in report.by_depth[0]]
    rows = []
    for p in report.policies:
        cells = [*(f"{p.metrics[name]:.4f}" for name in shown), f"{p.mean_depth:.2f}", f"{p.layer_speedup:.2f}x"]
        if timings:
            cells += [f"{timings[p.policy].speedup:.2f}x", f"{timings[p.policy].texts_per_second:,.0f}"]
        rows.append([p.policy, *cells])
    timed = ["speed-up", "texts/s"] if timings else []
    return ["policy", *shown, "mean depth", "layer speed-up", *timed], rows


def print_comparison(values: dict[str, Any], report: Path) -> None:
    """Print the best policies of each family by speed-up, then the comparison on held-out texts."""
    print_table(
        f"{plural(values['n'], 'text')}, full depth {values['full']:.4f}; dials chosen on these texts, so optimistic",
        *best_table(values),
    )
    honest = values["honest"]
    print_table(
        f"held out: dials chosen on other texts ({values['score']}, speed-up reached); full depth {honest['full']:.4f}",
        *honest_table(values),
    )
    lines = [
        f"chosen on {plural(honest['choose_n'], 'text')}, measured on {honest['report_n']:,} others; * the "
        f"{values['ours']} is significantly better, ! worse ({values['test']}, p < 0.05, not corrected for the number "
        "of tests)"
    ]
    if values["oracles"]:
        oracles = "; ".join(f"{o['name']} {o['accuracy']:.4f} at {o['mean_depth']:.2f}" for o in values["oracles"])
        lines.append(f"oracles (they read all depths, or the label): {oracles}")
    print_lines([*lines, f"report: {report}"])


def best_table(values: dict[str, Any]) -> Table:
    """Return a table of each family's best score by speed-up, with dials chosen on the same texts."""
    rows = []
    for family, best in zip(values["families"], values["at_speedup"], strict=True):
        cells = ["–" if v is None else f"{100 * v[values['score']]:.1f}" for v in best["values"]]
        rows.append([family["name"], f"{family['policies']:,}", f"{100 * family['area']:.2f}", *cells])
    return ["family", "policies", "area", *(f"{s:g}x" for s in values["speedups"])], rows


def honest_table(values: dict[str, Any]) -> Table:
    """Return a table of score and reached speed-up on texts that were not used to choose dials."""
    contests = values["honest"]["rows"]
    rows = [
        [family["name"], *(honest_cell(values, contest, family["name"]) for contest in contests)]
        for family in values["families"]
    ]
    return ["family", *(f"{contest['speedup']:g}x" for contest in contests)], rows


def honest_cell(values: dict[str, Any], row: dict[str, Any], family: str) -> str:
    """Return a cell such as ``88.1 2.02x *``."""
    found = next((e for e in row["entries"] if e["family"] == family), None)
    if found is None:
        return "–"
    verdict = next((t["verdict"] for t in row["tests"] if t["rival"] == family), "")
    mark = {"better": "*", "worse": "!"}.get(verdict, " ")
    return f"{100 * found[values['score']]:.1f} {values['depths'] / found['mean_depth']:.1f}x{mark}"
