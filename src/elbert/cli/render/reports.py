"""Evaluations and comparisons as tables for a terminal, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert._display import clean_line
from elbert.tasks import TASKS

if TYPE_CHECKING:
    from elbert.evaluation import Report, Timing


def as_json(report: Report, timings: Mapping[str, Timing]) -> dict[str, Any]:
    """Return report and timings as plain values."""
    values = asdict(report)
    for policy in values["policies"]:
        timing = timings.get(policy["policy"])
        policy["wall_clock"] = None if timing is None else asdict(timing)
    return values


def print_report(report: Report, timings: Mapping[str, Timing]) -> None:
    """Print tables of depths and policies, and lines on exits, oracles and timing."""
    from rich.console import Console

    console = Console()
    console.print(depth_table(report))
    if report.policies:
        console.print(policy_table(report, timings))
        for policy in report.policies:
            reasons = ", ".join(f"{reason} {count}" for reason, count in policy.reasons.items())
            depths = ", ".join(f"{depth}: {count}" for depth, count in policy.depths.items())
            lines = f"{clean_line(policy.policy)}\n  exits by reason: {reasons}\n  exits by depth: {depths}"
            console.print(lines, highlight=False, markup=False, soft_wrap=True)
    if report.oracles:
        oracles = "; ".join(f"{o.name} {o.accuracy:.4f} at mean depth {o.mean_depth:.2f}" for o in report.oracles)
        console.print(f"oracles (they read all depths, or the label): {oracles}", highlight=False)
        console.print(
            f"overthinking (right before, wrong at the last depth): {report.overthinking:.2%}", highlight=False
        )
    if timings:
        timing = next(iter(timings.values()))
        console.print(
            f"wall-clock: medians of {timing.rounds} interleaved rounds over {timing.texts:,} texts, "
            "tokenising included, against full depth in the same rounds",
            highlight=False,
        )


def depth_table(report: Report) -> Any:
    """Return a table of every ``depth(k)``, the fixed shallower models."""
    from rich.table import Table

    from elbert.exits import fixed_depth

    names = list(report.by_depth[0])
    table = Table("policy", *names, title=f"{report.n:,} texts, every fixed depth", title_justify="left")
    for depth, metrics in enumerate(report.by_depth, 1):
        table.add_row(str(fixed_depth(depth)), *(f"{metrics[name]:.4f}" for name in names))
    return table


def policy_table(report: Report, timings: Mapping[str, Timing]) -> Any:
    """Return a table of every policy's accuracy, calibration error and cost; the other metrics are in the JSON."""
    from rich.table import Table
    from rich.text import Text

    metric = TASKS[report.problem].score_name
    shown = [name for name in (metric, "ece") if name in report.by_depth[0]]
    timed = ["wall-clock", "texts/s"] if timings else []
    table = Table(title="policies", title_justify="left")
    table.add_column("policy", overflow="fold")
    for name in [*shown, "depth", "layers", *timed]:
        table.add_column(name, justify="right", no_wrap=True)
    for p in report.policies:
        cells = [*(f"{p.metrics[name]:.4f}" for name in shown), f"{p.mean_depth:.2f}", f"{p.layer_speedup:.2f}x"]
        if timings:
            cells += [f"{timings[p.policy].speedup:.2f}x", f"{timings[p.policy].texts_per_second:,.0f}"]
        table.add_row(Text(clean_line(p.policy)), *cells)  # a point's name may contain rich's markup
    return table


def print_comparison(values: dict[str, Any], report: Path) -> None:
    """Print the best policies of each family by speed-up, then the comparison on held-out texts."""
    from rich.console import Console

    console = Console()
    console.print(best_table(values))
    honest = values["honest"]
    console.print(honest_table(values))
    console.print(
        f"chosen on {honest['choose_n']:,} texts, measured on {honest['report_n']:,} others; * the {values['ours']} is "
        f"significantly better, ! worse ({values['test']}, p < 0.05, not corrected for the number of tests)",
        highlight=False,
    )
    if values["oracles"]:
        oracles = "; ".join(f"{o['name']} {o['accuracy']:.4f} at {o['mean_depth']:.2f}" for o in values["oracles"])
        console.print(f"oracles (they read all depths, or the label): {oracles}", highlight=False)
    console.print(f"report: {report}", highlight=False, soft_wrap=True)


def best_table(values: dict[str, Any]) -> Any:
    """Return a table of each family's best score by speed-up, with dials chosen on the same texts."""
    from rich.table import Table

    title = f"{values['n']:,} texts, full depth {values['full']:.4f}; dials chosen on these texts, so optimistic"
    table = Table(title=title, title_justify="left")
    table.add_column("family")
    for name in ["policies", "area", *(f"{s:g}x" for s in values["speedups"])]:
        table.add_column(name, justify="right", no_wrap=True)
    for family, best in zip(values["families"], values["at_speedup"], strict=True):
        cells = ["–" if v is None else f"{100 * v[values['score']]:.1f}" for v in best["values"]]
        table.add_row(family["name"], f"{family['policies']:,}", f"{100 * family['area']:.2f}", *cells)
    return table


def honest_table(values: dict[str, Any]) -> Any:
    """Return a table of score and reached speed-up on texts that were not used to choose dials."""
    from rich.table import Table

    table = Table(
        title=f"held out: dials chosen on other texts ({values['score']}, speed-up reached)", title_justify="left"
    )
    table.add_column("family")
    rows = values["honest"]["rows"]
    for row in rows:
        table.add_column(f"{row['speedup']:g}x", justify="right", no_wrap=True)
    for family in values["families"]:
        table.add_row(family["name"], *(honest_cell(values, row, family["name"]) for row in rows))
    return table


def honest_cell(values: dict[str, Any], row: dict[str, Any], family: str) -> str:
    """Return a cell such as ``88.1 2.02x *``."""
    found = next((e for e in row["entries"] if e["family"] == family), None)
    if found is None:
        return "–"
    verdict = next((t["verdict"] for t in row["tests"] if t["rival"] == family), "")
    mark = {"better": "*", "worse": "!"}.get(verdict, " ")
    return f"{100 * found[values['score']]:.1f} {values['depths'] / found['mean_depth']:.1f}x{mark}"
