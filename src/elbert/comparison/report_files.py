"""The files of a comparison: the report page, the figures and the tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from elbert import __version__
from elbert._atomic import open_atomic
from elbert.comparison.comparison import Comparison
from elbert.comparison.plots import draw_comparison
from elbert.comparison.report_data import build_report_data, iterate_csv
from elbert.exits.encoding import policy_table
from elbert.model import ModelConfig
from elbert.web import render_page


def describe_run(model: str, data: str, command: str) -> dict[str, Any]:
    """Return title, names of model and data, date, version and command for the report."""
    return {
        "title": f"Exit policies on {data}",
        "model": model,
        "data": data,
        "made": datetime.now(UTC).date().isoformat(),
        "version": __version__,
        "command": command,
        "linear_baseline": None,
        "notes": [],
    }


def write_report(
    comparison: Comparison, config: ModelConfig | None, about: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Write report, figures and tables into a folder; return the report's content.

    Raises:
        InputError: a file cannot be written.
        MissingExtra: matplotlib is not installed.
    """
    values = build_report_data(comparison, config, about)
    folder.mkdir(parents=True, exist_ok=True)
    with open_atomic(folder / "comparison.json") as out:
        out.write(json.dumps(values, ensure_ascii=False) + "\n")
    with open_atomic(folder / "policies.csv") as out:
        out.writelines(iterate_csv(comparison))
    draw_comparison(comparison, [folder / "curves.png", folder / "curves.svg"])
    with open_atomic(folder / "report.html") as out:
        out.write(render_page("report/report.html", values, policy_table(comparison.outputs.task.content)))
    return values
