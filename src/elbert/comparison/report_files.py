"""The files of a comparison: the report page, the figures and the tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from elbert import __version__
from elbert._atomic import write_files
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
        "column_flags": [],
        "linear_baseline": None,
        "notes": [],
    }


def write_report(
    comparison: Comparison, config: ModelConfig | None, about: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Write report, figures and tables into a folder, all or none; return the report's content.

    Raises:
        InputError: the folder or a file cannot be written.
        MissingExtra: matplotlib is not installed.
    """
    values = build_report_data(comparison, config, about)
    page = render_page("report/report.html", values, policy_table(comparison.outputs.task.content))
    figures = {f"curves.{name}": content for name, content in draw_comparison(comparison).items()}
    texts = {
        "comparison.json": json.dumps(values, ensure_ascii=False) + "\n",
        "policies.csv": "".join(iterate_csv(comparison)),
        "report.html": page,
    }
    write_files(folder, figures | {name: text.encode() for name, text in texts.items()})
    return values
