"""The paper's figure of one decision: probabilities, entropy and the sliding window, depth by depth."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np

from elbert._extras import require
from elbert.explaining.explanation import Explanation
from elbert.explaining.figures import brief, plain_axes, words
from elbert.explaining.lines import LINES, gauged, short, shown, watched
from elbert.explaining.rules import RuleTrack

STYLES = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"))  # told apart without colour
COLOURS = ("#0b63ce", "#b85c00", "#197a3e", "#a3337f")
GREY, EXIT = "#8a929c", "#14171c"


def text_figure(told: Explanation) -> Any:
    """A matplotlib figure, 6.5 inches wide: three panels over one axis of depths (two for policies without memory)."""
    track = watched(told)
    heights = [1.6, 1.0] if track is None else [1.6, 1.0, min(2.4, 0.35 + 0.12 * told.depths)]
    Figure = require("matplotlib.figure", "plots").Figure  # noqa: N806 - a class
    figure = Figure(figsize=(6.5, sum(heights) + 1.5), layout="constrained")
    grid = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    probabilities(grid[0], told)
    entropy(grid[1], told)
    if track is not None:
        sliding(grid[2], told, track)
    for axes in grid:
        plain_axes(axes)
        axes.axvline(told.depth, color=EXIT, linewidth=1, zorder=1)
        axes.axvspan(told.depth, told.depths + 0.5, color=GREY, alpha=0.13, linewidth=0, zorder=0)
        axes.set_xlim(0.5, told.depths + 0.5)
    step = max(1, round(told.depths / 24))
    grid[-1].set_xticks(range(1, told.depths + 1, step))
    grid[-1].set_xlabel("depth\n" + fill(f"It {told.why}.", 100), fontsize=8, parse_math=False)
    text = told.text if told.text_pair is None else f"{told.text} / {told.text_pair}"
    title = figure.suptitle(f"“{brief(text, 92)}”\n{brief(short(told.policy), 92)}", fontsize=9)
    title.set_parse_math(False)
    figure.align_ylabels(grid)
    return figure


def probabilities(axes: Any, told: Explanation) -> None:
    """A line for each label that matters; the others in grey without a name."""
    depths = range(1, told.depths + 1)
    named = shown(told)
    for name in [name for name in told.labels if name not in named][:200]:
        axes.plot(depths, [step.scores[name] for step in told.steps], color=GREY, linewidth=0.5, alpha=0.4)
    for name, colour, (line, marker) in zip(named, COLOURS, STYLES, strict=False):
        said = [step.scores[name] for step in told.steps]
        axes.plot(depths, said, line, marker=marker, color=colour, markersize=3.5, linewidth=1.4, label=brief(name, 36))
    if told.problem == "multi_label_classification":
        axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    axes.plot([told.depth], [told.left.score], "o", markersize=10, fillstyle="none", color=EXIT, markeredgewidth=1.3)
    axes.set_ylim(-0.04, 1.06)
    axes.set_ylabel("probability", fontsize=8)
    columns = LINES if max(map(len, named)) <= 12 else 2
    legend = axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.07), ncols=columns, fontsize=8, frameon=False, handlelength=3.2
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    right = told.depth > told.depths / 2
    axes.annotate(
        f"left: {told.reason}",
        (told.depth, 1.06),
        xytext=(-4 if right else 4, -2),
        textcoords="offset points",
        ha="right" if right else "left",
        va="bottom",
        fontsize=8,
        fontweight="bold",
        annotation_clip=False,
    )


def entropy(axes: Any, told: Explanation) -> None:
    """The signal that the policy reads, as bars, and its threshold."""
    gauge = gauged(told)
    threshold = gauge.threshold
    values = [np.nan if value is None else value for value in gauge.values]
    axes.bar(
        range(1, told.depths + 1), values, width=0.6, color="#c9d3df", edgecolor="#4a5563", linewidth=0.7, zorder=2
    )
    axes.set_ylim(0, 1.02 * gauge.top)
    axes.set_ylabel(gauge.name.replace(", ", ",\n"), fontsize=8)
    if threshold is not None and threshold <= gauge.top:
        axes.axhline(threshold, color="#b3261e", linewidth=1.2, linestyle="--", zorder=3)
        side = axes.get_yaxis_transform()  # beside the panel: bars would stand behind it
        text = words(axes, 1.01, threshold, f"{threshold:g}", transform=side, va="center", ha="left", fontsize=8)
        text.set_color("#b3261e")


def sliding(axes: Any, told: Explanation, track: RuleTrack) -> None:
    """One line for each depth: the depths that the window covers there; where it is content, it is framed."""
    from matplotlib.patches import Rectangle  # after require: it is there

    for step in track.steps:
        since = told.steps[step.depth - 1].since
        for depth in range(step.first, step.depth + 1):
            same = depth >= since
            axes.plot(
                depth,
                step.depth,
                "s",
                markersize=min(5.0, 60 / told.depths),
                color="#4a5563",
                fillstyle="full" if same else "none",
                markeredgewidth=0.7,
                alpha=1.0 if step.full else 0.45,
            )
        if step.fires:
            first, width = step.first - 0.45, step.depth - step.first + 0.9
            axes.add_patch(
                Rectangle((first, step.depth - 0.45), width, 0.9, fill=False, edgecolor="#197a3e", linewidth=1.1)
            )
    axes.set_ylim(told.depths + 0.6, 0.4)
    axes.set_yticks(sorted({1, told.depth, told.depths}))
    axes.set_ylabel("window, seen\nat depth", fontsize=8)
    content = "agrees" if track.reason == "window" else "holds"
    words(
        axes,
        0.99,
        0.97,
        f"{track.size} depths; ■ answer as now  □ another\nframed: it {content}",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=7.5,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
    )
