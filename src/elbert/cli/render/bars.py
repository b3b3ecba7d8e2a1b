"""Bars and curves made of characters, and printing of lines at the width of the terminal, without markup."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from elbert._display import clean
from elbert.cli.render.terminal_tables import find_width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console
    from rich.text import Text

EIGHTHS = " ▏▎▍▌▋▊▉█"
HEIGHTS = "▁▂▃▄▅▆▇█"
PIPED_WIDTH = 100  # columns of a layout where there is no terminal
MIN_WIDTH = 60
NO_LIMIT = sys.maxsize // 8  # width of lines that no terminal shows

Shown = TypeVar("Shown")


def print_parts(
    value: Shown,
    parts: Iterable[Callable[[Shown, int], list[Text | str]]],
    max_width: int = NO_LIMIT,
    piped_width: int = PIPED_WIDTH,
) -> None:
    """Print the lines of each part of a value; a part takes the value and the width in columns."""
    from rich.console import Console

    console = Console(highlight=False)
    terminal = find_width(console.file)
    width = piped_width if terminal is None else max(MIN_WIDTH, min(max_width, terminal))
    for part in parts:
        for line in part(value, width):
            print_line(console, line)


def print_line(console: Console, line: Text | str) -> None:
    """Print one line, cleaned, without wrapping and without interpreting markup."""
    from rich.text import Text

    text = Text(line) if isinstance(line, str) else line
    text.plain = clean(text.plain)  # names and words come from model folders and data files
    text.rstrip()
    console.print(text, soft_wrap=True, markup=False, emoji=False)


def draw_bar(share: float, cells: int) -> str:
    """Return a bar of ``cells`` characters, with a resolution of an eighth of a character."""
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    whole, rest = divmod(eighths, 8)
    return f"{'█' * whole}{EIGHTHS[rest] if rest else ''}".ljust(cells)


def draw_sparkline(path: Sequence[float]) -> str:
    """Return one character for each value from 0 to 1."""
    return "".join(HEIGHTS[min(len(HEIGHTS) - 1, int(p * len(HEIGHTS)))] for p in path)
