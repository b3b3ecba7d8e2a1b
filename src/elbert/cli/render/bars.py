"""Bars and curves made of characters, and printing of lines without wrapping or markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.text import Text

EIGHTHS = " ▏▎▍▌▋▊▉█"
HEIGHTS = "▁▂▃▄▅▆▇█"


def print_line(console: Console, line: Text | str) -> None:
    """Print one line, without wrapping and without interpreting markup."""
    from rich.text import Text

    text = Text(line) if isinstance(line, str) else line
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
