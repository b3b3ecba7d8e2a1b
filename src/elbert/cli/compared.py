"""How a comparison is told on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def print_comparison(values: dict[str, Any], report: Path) -> None:
    """The best of each family at every speed-up, then the honest comparison."""
    from rich.console import Console

    console = Console()
    console.print(best_table(values))
    honest = values["honest"]
    console.print(honest_table(values))
    console.print(
        f"chosen on {honest['choose_n']:,} texts, measured on {honest['report_n']:,} others; * the window is "
        "significantly better, ! worse (McNemar's exact test, p < 0.05, not corrected for the number of tests)",
        highlight=False,
    )
    oracles = "; ".join(f"{o['name']} {o['accuracy']:.4f} at {o['mean_depth']:.2f}" for o in values["oracles"])
    console.print(f"oracles (they know the future): {oracles}", highlight=False)
    console.print(f"report: {report}", highlight=False, soft_wrap=True)


def best_table(values: dict[str, Any]) -> Any:
    """What each family can reach; dials chosen on these very texts."""
    from rich.table import Table

    title = f"{values['n']:,} texts, full depth {values['full']:.4f}; dials chosen on these texts, so optimistic"
    table = Table(title=title, title_justify="left")
    table.add_column("family")
    for name in ["policies", "area", *(f"{s:g}x" for s in values["speedups"])]:
        table.add_column(name, justify="right", no_wrap=True)
    for family, best in zip(values["families"], values["at_speedup"], strict=True):
        cells = ["–" if v is None else f"{100 * v['accuracy']:.1f}" for v in best["values"]]
        table.add_row(family["name"], f"{family['policies']:,}", f"{100 * family['area']:.2f}", *cells)
    return table


def honest_table(values: dict[str, Any]) -> Any:
    """Accuracy and reached speed-up on texts that chose nothing."""
    from rich.table import Table

    table = Table(title="honest: dials chosen on other texts (accuracy at the speed-up reached)", title_justify="left")
    table.add_column("family")
    rows = values["honest"]["rows"]
    for row in rows:
        table.add_column(f"{row['speedup']:g}x", justify="right", no_wrap=True)
    for family in values["families"]:
        table.add_row(family["name"], *(honest_cell(values, row, family["name"]) for row in rows))
    return table


def honest_cell(values: dict[str, Any], row: dict[str, Any], family: str) -> str:
    """``88.1 2.02x *``."""
    found = next((e for e in row["entries"] if e["family"] == family), None)
    if found is None:
        return "–"
    verdict = next((t["verdict"] for t in row["tests"] if t["rival"] == family), "")
    mark = {"better": "*", "worse": "!"}.get(verdict, " ")
    return f"{100 * found['accuracy']:.1f} {values['depths'] / found['mean_depth']:.1f}x{mark}"
