"""Figures fit for a paper: PNG and SVG, readable in grey, with text that stays text."""

from __future__ import annotations

import warnings
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from elbert._atomic import replaced
from elbert._optional import require
from elbert.explain.explanation import LINES, Explanation, gauged, short, shown, watched
from elbert.explain.rule_tracks import RuleTrack
from elbert.explain.survey import Survey

DOTS = 200  # an inch


def write_figure(told: Explanation | Survey, path: Path) -> None:
    """Write the picture of an explanation or of a survey; the ending says .png or .svg.

    Raises:
        MissingExtra: matplotlib is not there.
        InputError: nothing can be written there.
    """
    require("matplotlib.figure", "plots")
    save(text_figure(told) if isinstance(told, Explanation) else data_figure(told), path)


def save(figure: Any, path: Path) -> None:
    """Write a figure whole or not at all, the same bytes for the same figure."""
    matplotlib = require("matplotlib", "plots")
    kind = path.suffix.lower().removeprefix(".")
    dated = {"Date": None} if kind == "svg" else {"Software": None}
    # matplotlib takes these two from its settings alone; they are put back at once.
    settings = {"svg.fonttype": "none", "svg.hashsalt": "elbert"}
    with replaced(path, "wb") as out, matplotlib.rc_context(settings), warnings.catch_warnings():
        # A text may hold characters that no font here has; its other characters are still worth showing.
        warnings.filterwarnings("ignore", "Glyph")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        figure.savefig(out, format=kind, dpi=DOTS, metadata=dated)


def plain_axes(axes: Any) -> None:
    """Only the lines that carry something."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, length=3)


def words(axes: Any, x: float, y: float, text: str, **options: Any) -> Any:
    """Text that is nobody's markup: a dollar in it is a dollar."""
    return axes.text(x, y, text, parse_math=False, **options)


def brief(text: str, width: int) -> str:
    """One line of at most ``width`` characters, without what cannot be printed."""
    line = " ".join(text[: 4 * width].split())
    line = line if len(line) <= width else line[: width - 1] + "…"
    return "".join(character if character.isprintable() else "\ufffd" for character in line)


RIGHT, WRONG, LINE = "#9dc3ee", "#b85c00", "#14171c"


def data_figure(told: Survey) -> Any:
    """A matplotlib figure, 6.5 inches wide: the histogram of exits, and mean depth by length with its quartiles."""
    Figure = require("matplotlib.figure", "plots").Figure  # noqa: N806 - a class
    figure = Figure(figsize=(6.5, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    histogram(left, told)
    by_length(right, told)
    for axes in (left, right):
        plain_axes(axes)
    title = figure.suptitle(
        f"{short(told.policy)}: {told.n:,} texts, mean depth {told.mean_depth:.2f} of {told.depths}", fontsize=9
    )
    title.set_parse_math(False)
    return figure


def histogram(axes: Any, told: Survey) -> None:
    """Exits by depth; with labels, the wrong ones are hatched on top."""
    depths = range(1, told.depths + 1)
    bars = {"edgecolor": LINE, "linewidth": 0.6, "width": 0.75}
    if told.exits_right is None:
        axes.bar(depths, told.exits, color=RIGHT, **bars)
    else:
        wrong = [n - right for n, right in zip(told.exits, told.exits_right, strict=True)]
        axes.bar(depths, told.exits_right, color=RIGHT, label="right", **bars)
        axes.bar(depths, wrong, bottom=told.exits_right, color="white", hatch="////", label="wrong", **bars)
        axes.legend(fontsize=8, frameon=False)
    axes.set_xticks(range(1, told.depths + 1, max(1, round(told.depths / 12))))
    axes.set_xlabel("exit depth", fontsize=8)
    axes.set_ylabel("texts", fontsize=8)


def by_length(axes: Any, told: Survey) -> None:
    """Mean depth of texts of like length; the bars span the middle half of them."""
    middles = [(b.shortest + b.longest) / 2 for b in told.lengths]
    for middle, each in zip(middles, told.lengths, strict=True):
        axes.plot([middle, middle], [each.low, each.high], color="#8a929c", linewidth=3, solid_capstyle="butt")
    axes.plot(middles, [b.mean_depth for b in told.lengths], "o-", color=LINE, markersize=4, linewidth=1.2)
    axes.set_ylim(0, told.depths + 0.5)
    axes.set_xlabel("tokens (bins of about as many texts)", fontsize=8)
    axes.set_ylabel("exit depth: mean, quartiles", fontsize=8)
    told_text = f"rank correlation {told.correlation:+.2f}"
    words(axes, 0.98, 0.97, told_text, transform=axes.transAxes, ha="right", va="top", fontsize=8)


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
