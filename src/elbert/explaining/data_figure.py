"""The picture of a data set: how many texts left at each depth, and depth against length."""

from __future__ import annotations

from typing import Any

from elbert._extras import require
from elbert.explaining.figures import plain_axes, words
from elbert.explaining.lines import short
from elbert.explaining.survey import Survey

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
