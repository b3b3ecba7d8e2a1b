"""How an evaluation is told: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elbert.evaluation import Report, Timing


def as_json(report: Report, timings: Mapping[str, Timing]) -> dict[str, Any]:
    """Everything, as plain values."""
    values = asdict(report)
    for policy in values["policies"]:
        timing = timings.get(policy["policy"])
        policy["wall_clock"] = None if timing is None else asdict(timing)
    return values


def print_report(report: Report, timings: Mapping[str, Timing]) -> None:
    """Depths, policies, oracles."""
    from rich.console import Console

    console = Console()
    console.print(depth_table(report))
    if report.policies:
        console.print(policy_table(report, timings))
        for policy in report.policies:
            reasons = ", ".join(f"{reason} {count}" for reason, count in policy.reasons.items())
            depths = ", ".join(f"{depth}: {count}" for depth, count in policy.depths.items())
            told = f"{policy.policy}\n  left for {reasons}\n  at depth {depths}"
            console.print(told, highlight=False, markup=False, soft_wrap=True)
    if report.oracles:
        told = "; ".join(f"{o.name} {o.accuracy:.4f} at mean depth {o.mean_depth:.2f}" for o in report.oracles)
        console.print(f"oracles (they know the future): {told}", highlight=False)
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
    """Every ``depth(k)``: the fixed, shallower models."""
    from rich.table import Table

    names = list(report.by_depth[0])
    table = Table("policy", *names, title=f"{report.n:,} texts, every fixed depth", title_justify="left")
    for depth, metrics in enumerate(report.by_depth, 1):
        table.add_row(f"depth({depth})", *(f"{metrics[name]:.4f}" for name in names))
    return table


def policy_table(report: Report, timings: Mapping[str, Timing]) -> Any:
    """Every policy: what it answers and what it costs; the other metrics are in the JSON."""
    from rich.table import Table
    from rich.text import Text

    metric = next(iter(report.policies[0].metrics))
    timed = ["wall-clock", "texts/s"] if timings else []
    table = Table(title="policies", title_justify="left")
    table.add_column("policy", overflow="fold")
    for name in [metric, "depth", "layers", *timed]:
        table.add_column(name, justify="right", no_wrap=True)
    for p in report.policies:
        cells = [f"{p.metrics[metric]:.4f}", f"{p.mean_depth:.2f}", f"{p.layer_speedup:.2f}x"]
        if timings:
            cells += [f"{timings[p.policy].speedup:.2f}x", f"{timings[p.policy].texts_per_second:,.0f}"]
        table.add_row(Text(p.policy), *cells)  # a point's name may hold what rich takes for markup
    return table
