"""Figures fit for a paper: PNG and SVG, readable in grey, with text that stays text."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from elbert._extras import require
from elbert._files import replaced
from elbert.explaining.explanation import Explanation
from elbert.explaining.survey import Survey

DOTS = 200  # an inch


def write_figure(told: Explanation | Survey, path: Path) -> None:
    """Write the picture of an explanation or of a survey; the ending says .png or .svg.

    Raises:
        MissingExtra: matplotlib is not there.
        InputError: nothing can be written there.
    """
    require("matplotlib.figure", "plots")
    if isinstance(told, Explanation):
        from elbert.explaining.text_figure import text_figure

        figure = text_figure(told)
    else:
        from elbert.explaining.data_figure import data_figure

        figure = data_figure(told)
    save(figure, path)


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
