"""Figures: accuracy against mean depth, one curve per family."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from elbert._display import plural
from elbert._optional import require
from elbert.comparison.comparison import Comparison
from elbert.exits.policies import list_families

TEMPERED_DASH = (0, (1, 1))
WIDTH, HEIGHT = 6.4, 4.2  # inches: a column and a half


def draw_comparison(comparison: Comparison, formats: Sequence[str] = ("png", "svg")) -> dict[str, bytes]:
    """Draw the curves, and return the content of a file of each format; text in SVG stays text.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    matplotlib = require("matplotlib", "plots")
    files = {name: io.BytesIO() for name in formats}
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "elbert", "font.size": 9}):
        figure = _figure(comparison)
        for name, file in files.items():
            figure.savefig(file, format=name, dpi=200, metadata={"Date": None} if name == "svg" else None)
    return {name: file.getvalue() for name, file in files.items()}


def find_style(name: str) -> tuple[str, Any, str]:
    """Colour, dash and marker of a family's curve, at temperatures too."""
    family = list_families()[name.removesuffix(", tempered")]
    return family.colour, family.dash if name == family.name else TEMPERED_DASH, family.marker


def _figure(comparison: Comparison) -> Any:
    figure = require("matplotlib.figure", "plots").Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    depths, score = comparison.outputs.depths, comparison.outputs.task.score_name
    for name, swept in comparison.swept.items():
        colour, dash, marker = find_style(name)
        x, y = [swept.mean_depth[i] for i in swept.front], [100 * swept.score[i] for i in swept.front]
        style = {"color": colour, "linestyle": dash, "marker": marker, "markersize": 3, "linewidth": 1.2}
        axes.plot(
            [*x, depths], [*y, y[-1]], drawstyle="steps-post", markevery=max(1, len(x) // 12), label=name, **style
        )
    full = 100 * comparison.report.by_depth[-1][score]
    axes.axhline(full, color="#999999", linewidth=0.8)
    name = axes.annotate(f"full depth {full:.1f}", (1, full), xytext=(4, 2), textcoords="offset points", fontsize=8)
    name.set(color="#666666", zorder=5)  # at the left, where curves start low; readable where one crosses it
    name.set_path_effects([require("matplotlib.patheffects", "plots").withStroke(linewidth=3, foreground="white")])
    axes.set(xlabel=f"mean depth (of {depths})", ylabel=f"{score}, %", xlim=(1, depths))
    axes.grid(alpha=0.25)
    upper = axes.secondary_xaxis("top", functions=(lambda d: d, lambda d: d))
    marks = [s for s in (10, 6, 4, 3, 2, 1.5, 1) if s <= depths]
    upper.set_xticks([depths / s for s in marks], [f"{s:g}x" for s in marks])
    upper.set_xlabel("layer speed-up")
    axes.legend(
        fontsize=7,
        frameon=False,
        loc="lower right",
        title=f"{plural(len(comparison.outputs), 'text')}, dials chosen on them",
    )
    return figure
