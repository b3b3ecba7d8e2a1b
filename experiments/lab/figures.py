"""Figures, as SVG: the paper's window size against accuracy and speed, and accuracy against speed-up by policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elbert._atomic import open_atomic
from elbert._optional import require
from elbert.comparison.plots import find_style
from lab.report import ENTROPIES, PLAIN, RULES
from lab.selection import OURS, PAPERS

Record = dict[str, Any]
SHOWN = (OURS, PAPERS, "entropy", "patience", "divergence", "depth", PLAIN)
RULE_STYLES = {"agree": ("#0072b2", "-", "o"), "trend": ("#d55e00", "--", "v"), "stable": ("#009e73", ":", "s")}
ALONE = ("#000000", "-", "x")


def draw(pooled: Record, name: str, folder: Path, linear: float | None) -> list[str]:
    """Both figures of a set; returns their file names."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"window_{name}.svg": window_figure(pooled, name), f"curves_{name}.svg": curves(pooled, name, linear)}
    for file, figure in files.items():
        save(figure, folder / file)
    return list(files)


def save(figure: Any, path: Path) -> None:
    """Write a figure, the same bytes for the same figures; text stays text."""
    matplotlib = require("matplotlib", "plots")
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "elbert"}), open_atomic(path, "wb") as out:
        figure.savefig(out, format="svg", metadata={"Date": None})


def new_figure(columns: int, title: str) -> tuple[Any, Any]:
    """An empty figure of some panels side by side."""
    figure = require("matplotlib.figure", "plots").Figure(figsize=(3.6 * columns, 3.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def window_figure(pooled: Record, name: str) -> Any:
    """Window size against accuracy and against layer speed-up, by rule; the window alone, and with the entropy rule."""
    seeds = f"{len(pooled['seeds'])} seed{'s' * (len(pooled['seeds']) > 1)}"
    figure, panels = new_figure(2 * len(ENTROPIES), f"{name}, test, {pooled['n']:,} texts, {seeds}")
    for number, entropy in enumerate(ENTROPIES):
        accuracy, speed = panels[2 * number : 2 * number + 2]
        for rule in RULES:
            points = [w for w in pooled["windows"] if w["rule"] == rule and w["entropy"] == entropy]
            colour, dash, mark = RULE_STYLES[rule]
            style = {"color": colour, "linestyle": dash, "marker": mark, "markersize": 3, "linewidth": 1.2}
            sizes = [w["size"] for w in points]
            accuracy.plot(sizes, [100 * w["accuracy"] for w in points], label=rule, **style)
            speed.plot(sizes, [pooled["depths"] / w["mean_depth"] for w in points], label=rule, **style)
        accuracy.axhline(100 * pooled["full"]["mean"], color="#999999", linewidth=0.8)
        title = f"entropy {entropy:g}" if entropy else "window alone"
        accuracy.set(xlabel="window size", ylabel="accuracy, %", title=title)
        speed.set(xlabel="window size", ylabel="layer speed-up", title=title)
    panels[0].legend(fontsize=8, frameon=False)
    finish(panels)
    return figure


def curves(pooled: Record, name: str, linear: float | None) -> Any:
    """Accuracy against the layer speed-up on the test part, dials chosen on the calibration part."""
    figure, panels = new_figure(1, f"{name}, test, {pooled['n']:,} texts")
    figure.set_size_inches(6.4, 4.0)
    (axes,) = panels
    for family in SHOWN:
        there = [cells[family] for cells in pooled["cells"].values() if family in cells]
        if not there:
            continue
        colour, dash, mark = ALONE if family == PLAIN else find_style(family)
        x = [pooled["depths"] / cell["mean_depth"]["mean"] for cell in there]
        y = [100 * cell["accuracy"]["mean"] for cell in there]
        error = [100 * (cell["accuracy"]["sd"] or 0) for cell in there]
        style = {"color": colour, "linestyle": dash, "marker": mark, "markersize": 4, "linewidth": 1.2}
        axes.errorbar(x, y, yerr=error, capsize=2, elinewidth=0.6, label=family, **style)
    axes.axhline(100 * pooled["full"]["mean"], color="#999999", linewidth=0.8, label="full depth")
    if linear is not None:
        axes.axhline(100 * linear, color="#cc79a7", linewidth=0.8, linestyle="--", label="linear SVM")
    axes.set(xlabel="layer speed-up", ylabel="accuracy, %", xscale="log")
    ticks = [float(s) for s in pooled["cells"]]
    axes.set_xticks(ticks, [f"{t:g}x" for t in ticks])
    axes.minorticks_off()
    axes.legend(fontsize=8, frameon=False)
    finish(panels)
    return figure


def finish(panels: Any) -> None:
    """The same look for all."""
    for axes in panels:
        axes.grid(alpha=0.25)
        axes.title.set_fontsize(9)
