"""Bars and curves made of characters, and lines that a terminal shows as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.text import Text


EIGHTHS = " ▏▎▍▌▋▊▉█"
HEIGHTS = "▁▂▃▄▅▆▇█"


def put(console: Console, line: Text | str) -> None:
    """One line, which is never wrapped and never read as markup."""
    from rich.text import Text

    text = Text(line) if isinstance(line, str) else line
    text.rstrip()
    console.print(text, soft_wrap=True, markup=False, emoji=False)


def filled(share: float, cells: int) -> str:
    """A bar of ``cells`` characters, filled to an eighth of a character."""
    eighths = round(max(0.0, min(1.0, share)) * cells * 8)
    whole, rest = divmod(eighths, 8)
    return f"{'█' * whole}{EIGHTHS[rest] if rest else ''}".ljust(cells)


def sparkline(path: Sequence[float]) -> str:
    """One character a depth, from 0 to 1."""
    return "".join(HEIGHTS[min(len(HEIGHTS) - 1, int(p * len(HEIGHTS)))] for p in path)
