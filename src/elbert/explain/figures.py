"""Figures of explanations and surveys: PNG and SVG, readable without color, text in SVG stays text."""

from __future__ import annotations

import warnings
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from elbert._atomic import open_atomic
from elbert._display import plural, shorten
from elbert._optional import require
from elbert.explain.explanation import (
    LINES,
    Explanation,
    choose_gauge,
    choose_labels,
    find_window_track,
    shorten_spec,
)
from elbert.explain.rule_tracks import RuleTrack
from elbert.explain.survey import Survey
from elbert.tasks import TASKS
from elbert.tasks.spans import split_tag

DOTS = 200  # dots per inch


def write_figure(explained: Explanation | Survey, path: Path) -> None:
    """Write the figure of an explanation or a survey to a ``.png`` or ``.svg`` file.

    Raises:
        MissingExtra: matplotlib is not installed.
        InputError: the file cannot be written.
    """
    require("matplotlib.figure", "plots")
    save_figure(draw_explanation(explained) if isinstance(explained, Explanation) else draw_survey(explained), path)


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure atomically; equal figures give equal bytes."""
    matplotlib = require("matplotlib", "plots")
    kind = path.suffix.lower().removeprefix(".")
    dated = {"Date": None} if kind == "svg" else {"Software": None}
    # matplotlib reads these two only from its global settings; rc_context restores them.
    settings = {"svg.fonttype": "none", "svg.hashsalt": "elbert"}
    with open_atomic(path, "wb") as out, matplotlib.rc_context(settings), warnings.catch_warnings():
        # A text may hold characters that no installed font has; the others are still shown.
        warnings.filterwarnings("ignore", "Glyph")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        figure.savefig(out, format=kind, dpi=DOTS, metadata=dated)


def clean_axes(axes: Any) -> None:
    """Remove the top and right border."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, length=3)


def draw_text(axes: Any, x: float, y: float, text: str, **options: Any) -> Any:
    """Draw text literally: without this, ``$`` would start a formula."""
    return axes.text(x, y, text, parse_math=False, **options)


RIGHT, WRONG, LINE = "#9dc3ee", "#b85c00", "#14171c"


def draw_survey(survey: Survey) -> Any:
    """A matplotlib figure, 6.5 inches wide: histogram of exit depths, and exit depth by text length."""
    Figure = require("matplotlib.figure", "plots").Figure  # noqa: N806 - a class
    figure = Figure(figsize=(6.5, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_histogram(left, survey)
    draw_lengths(right, survey)
    for axes in (left, right):
        clean_axes(axes)
    title = figure.suptitle(
        f"{shorten_spec(survey.policy)}: {plural(survey.n, 'text')}, "
        f"mean depth {survey.mean_depth:.2f} of {survey.depths}",
        fontsize=9,
    )
    title.set_parse_math(False)
    return figure


def draw_histogram(axes: Any, survey: Survey) -> None:
    """Exits by depth; with labels, wrong predictions are hatched on top."""
    depths = range(1, survey.depths + 1)
    bars = {"edgecolor": LINE, "linewidth": 0.6, "width": 0.75}
    if survey.exits_right is None:
        axes.bar(depths, survey.exits, color=RIGHT, **bars)
    else:
        wrong = [n - right for n, right in zip(survey.exits, survey.exits_right, strict=True)]
        axes.bar(depths, survey.exits_right, color=RIGHT, label="right", **bars)
        axes.bar(depths, wrong, bottom=survey.exits_right, color="white", hatch="////", label="wrong", **bars)
        axes.legend(fontsize=8, frameon=False)
    axes.set_xticks(range(1, survey.depths + 1, max(1, round(survey.depths / 12))))
    axes.set_xlabel("exit depth", fontsize=8)
    axes.set_ylabel("texts", fontsize=8)


def draw_lengths(axes: Any, survey: Survey) -> None:
    """Mean exit depth by text length; the vertical bars span the quartiles."""
    middles = [(b.shortest + b.longest) / 2 for b in survey.lengths]
    for middle, each in zip(middles, survey.lengths, strict=True):
        axes.plot([middle, middle], [each.low, each.high], color="#8a929c", linewidth=3, solid_capstyle="butt")
    axes.plot(middles, [b.mean_depth for b in survey.lengths], "o-", color=LINE, markersize=4, linewidth=1.2)
    axes.set_ylim(0, survey.depths + 0.5)
    axes.set_xlabel("tokens (bins with about equally many texts)", fontsize=8)
    axes.set_ylabel("exit depth: mean, quartiles", fontsize=8)
    label = f"rank correlation {survey.correlation:+.2f}"
    draw_text(axes, 0.98, 0.97, label, transform=axes.transAxes, ha="right", va="top", fontsize=8)


STYLES = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"))  # distinct without color
COLOURS = ("#0b63ce", "#b85c00", "#197a3e", "#a3337f")
GREY, EXIT = "#8a929c", "#14171c"


def draw_explanation(explained: Explanation) -> Any:
    """A matplotlib figure, 6.5 inches wide: three panels over the depths (two if no rule looks at several depths)."""
    track, words = find_window_track(explained), choose_words(explained)
    heights = [max(1.6, 0.3 + 0.2 * len(words)), 1.0]
    if track is not None:
        heights.append(min(2.4, 0.35 + 0.12 * explained.depths))
    Figure = require("matplotlib.figure", "plots").Figure  # noqa: N806 - a class
    figure = Figure(figsize=(6.5, sum(heights) + 1.5), layout="constrained")
    grid = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    if explained.exit_step.words:
        draw_tags(grid[0], explained, words)
    else:
        draw_probabilities(grid[0], explained)
    mark_exit(grid[0], explained)
    draw_gauge(grid[1], explained)
    if track is not None:
        draw_window(grid[2], explained, track)
    for axes in grid:
        clean_axes(axes)
        axes.axvline(explained.depth, color=EXIT, linewidth=1, zorder=1)
        axes.axvspan(explained.depth, explained.depths + 0.5, color=GREY, alpha=0.13, linewidth=0, zorder=0)
        axes.set_xlim(0.5, explained.depths + 0.5)
    step = max(1, round(explained.depths / 24))
    grid[-1].set_xticks(range(1, explained.depths + 1, step))
    grid[-1].set_xlabel("depth\n" + fill(f"It {explained.why}.", 100), fontsize=8, parse_math=False)
    text = explained.text if explained.text_pair is None else f"{explained.text} / {explained.text_pair}"
    title = figure.suptitle(f"“{shorten(text, 92)}”\n{shorten(shorten_spec(explained.policy), 92)}", fontsize=9)
    title.set_parse_math(False)
    figure.align_ylabels(grid)
    return figure


def draw_probabilities(axes: Any, explained: Explanation) -> None:
    """One line per label of :func:`choose_labels`; the others thin and grey, without a legend entry."""
    depths = range(1, explained.depths + 1)
    named = choose_labels(explained)
    for name in [name for name in explained.labels if name not in named][:200]:
        axes.plot(depths, [step.scores[name] for step in explained.steps], color=GREY, linewidth=0.5, alpha=0.4)
    for name, colour, (line, marker) in zip(named, COLOURS, STYLES, strict=False):
        values = [step.scores[name] for step in explained.steps]
        axes.plot(
            depths,
            values,
            line,
            marker=marker,
            color=colour,
            markersize=3.5,
            linewidth=1.4,
            label=shorten(name, 36),
        )
    if TASKS[explained.problem].multi_label:
        axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    axes.plot(
        [explained.depth],
        [explained.exit_step.score],
        "o",
        markersize=10,
        fillstyle="none",
        color=EXIT,
        markeredgewidth=1.3,
    )
    if TASKS[explained.problem].is_exact:
        axes.set_ylim(-0.04, 1.06)
    axes.set_ylabel(explained.form.unit, fontsize=8)
    columns = LINES if max(map(len, named), default=0) <= 12 else 2
    legend = axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.07), ncols=columns, fontsize=8, frameon=False, handlelength=3.2
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


MOST_WORDS = 16  # most words that a figure shows
TAG_CHARACTER = 0.075  # inches of one character in a cell


def choose_words(explained: Explanation) -> list[int]:
    """The indices of the words drawn as rows, in text order; empty where depths have no words.

    First words with a tag other than O at the exit, then those whose tag changes, then the least settled ones.
    """
    words = explained.exit_step.words
    changed = {index for step in explained.steps for index in step.changed}
    least = {step.least_settled for step in explained.steps}
    order = sorted(
        range(len(words)), key=lambda index: (words[index].tag == "O", index not in changed, index not in least, index)
    )
    return sorted(order[:MOST_WORDS])


def draw_tags(axes: Any, explained: Explanation, words: list[int]) -> None:
    """One row per word: a box for each run of depths with one tag, and a dot where it is the least settled word."""
    types = list(dict.fromkeys(split_tag(name)[1] for name in explained.labels if name != "O"))
    cell = 5.0 / explained.depths  # inches of one depth
    for row, index in enumerate(words):
        tags = [step.words[index].tag for step in explained.steps]
        starts = [depth for depth in range(explained.depths) if depth == 0 or tags[depth] != tags[depth - 1]]
        for start, end in zip(starts, [*starts[1:], explained.depths], strict=True):
            tag, width = tags[start], end - start
            colour = "#e8ebef" if tag == "O" else COLOURS[types.index(split_tag(tag)[1]) % len(COLOURS)]
            axes.barh(
                row, width - 0.08, left=start + 0.54, height=0.8, color=colour, alpha=1 if tag == "O" else 0.3, zorder=2
            )
            fits = max(1, int(width * cell / TAG_CHARACTER))
            draw_text(
                axes, start + width / 2 + 0.5, row, shorten(tag, fits), ha="center", va="center", fontsize=7, zorder=3
            )
    least = [(step.depth, words.index(step.least_settled)) for step in explained.steps if step.least_settled in words]
    axes.plot([x for x, _ in least], [y + 0.36 for _, y in least], ".", color=EXIT, markersize=5, zorder=4)
    hidden = len(explained.exit_step.words) - len(words)
    axes.set_ylim(len(words) - 0.4, -0.6)
    names = [shorten(explained.exit_step.words[index].word, 16) for index in words]
    axes.set_yticks(range(len(words)), labels=names, parse_math=False)
    note = "word; dot: least settled" + (f"\n{hidden:,} more not shown" if hidden else "")
    axes.set_ylabel(note, fontsize=8)


def mark_exit(axes: Any, explained: Explanation) -> None:
    """Write the reason above the depth of the exit."""
    right = explained.depth > explained.depths / 2
    axes.annotate(
        f"exit: {explained.reason}",
        (explained.depth, axes.get_ylim()[1]),
        xytext=(-4 if right else 4, -2),
        textcoords="offset points",
        ha="right" if right else "left",
        va="bottom",
        fontsize=8,
        fontweight="bold",
        annotation_clip=False,
    )


def draw_gauge(axes: Any, explained: Explanation) -> None:
    """The signal that the policy reads as bars, with its threshold."""
    gauge = choose_gauge(explained)
    threshold = gauge.threshold
    values = [np.nan if value is None else value for value in gauge.values]
    axes.bar(
        range(1, explained.depths + 1), values, width=0.6, color="#c9d3df", edgecolor="#4a5563", linewidth=0.7, zorder=2
    )
    axes.set_ylim(0, 1.02 * gauge.top)
    axes.set_ylabel(gauge.name.replace(", ", ",\n"), fontsize=8)
    if threshold is not None and threshold <= gauge.top:
        axes.axhline(threshold, color="#b3261e", linewidth=1.2, linestyle="--", zorder=3)
        side = axes.get_yaxis_transform()  # beside the panel, where no bar is behind the text
        text = draw_text(axes, 1.01, threshold, f"{threshold:g}", transform=side, va="center", ha="left", fontsize=8)
        text.set_color("#b3261e")


def draw_window(axes: Any, explained: Explanation, track: RuleTrack) -> None:
    """One row per depth: the depths that the window covers there, framed where the rule fires."""
    for step in track.steps:
        since = explained.steps[step.depth - 1].since
        for depth in range(step.first, step.depth + 1):
            same = depth >= since
            axes.plot(
                depth,
                step.depth,
                "s",
                markersize=min(5.0, 60 / explained.depths),
                color="#4a5563",
                fillstyle="full" if same else "none",
                markeredgewidth=0.7,
                alpha=1.0 if step.full else 0.45,
            )
        if step.fires:
            first, width = step.first - 0.45, step.depth - step.first + 0.9
            axes.add_patch(
                require("matplotlib.patches", "plots").Rectangle(
                    (first, step.depth - 0.45), width, 0.9, fill=False, edgecolor="#197a3e", linewidth=1.1
                )
            )
    axes.set_ylim(explained.depths + 0.6, 0.4)
    axes.set_yticks(sorted({1, explained.depth, explained.depths}))
    axes.set_ylabel("window,\nat depth", fontsize=8)
    draw_text(
        axes,
        0.99,
        0.97,
        f"{plural(track.size, 'depth')}; ■ same answer as now  □ another\nframed: it holds",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=7.5,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
    )
