"""Tables of names and numbers, in which no name is cut: as wide as the terminal; in files and pipes without a limit."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

from elbert._display import clean, clean_line

GAP = 2  # columns between cells


def find_width(out: IO[Any]) -> int | None:
    """Return the columns of a terminal; None for files and pipes, whose readers have their own width."""
    return shutil.get_terminal_size().columns if out.isatty() else None


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to standard output; its first column holds names, the others numbers."""
    lines = format_table(head, list(rows), find_width(sys.stdout))
    sys.stdout.write("\n".join([title, *lines, ""]) + "\n")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines to standard output; those that are longer than a terminal is wide wrap at spaces."""
    width = find_width(sys.stdout)
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        wrapped = [line] if width is None else [indent + part for part in wrap_words(line, width - len(indent))]
        sys.stdout.write("".join(f"{clean(part)}\n" for part in wrapped))


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the lines of a table.

    Where names and numbers do not fit beside each other, long names wrap at spaces; where a word of a name is too long
    for that, each name stands in a line above its numbers, which wrap at columns.
    """
    cells = [[clean_line(cell) for cell in row] for row in (head, *rows)]
    sizes = [max(map(measure, column)) for column in zip(*cells, strict=True)]
    numbers = sum(sizes[1:]) + GAP * len(sizes[1:])
    if width is None or sizes[0] + numbers <= width:
        return draw(cells, sizes)
    room = width - numbers
    if room >= max(measure(word) for row in cells for word in row[0].split() or [""]):
        return draw(cells, [room, *sizes[1:]])
    return stack(cells, sizes[1:], width)


def draw(cells: Sequence[Sequence[str]], sizes: Sequence[int]) -> list[str]:
    """Return the rows below each other, with a rule below the first; names wrap at spaces."""
    lines: list[str] = []
    for row in cells:
        first, *more = wrap_words(row[0], sizes[0])
        lines.append(f"{pad(first, sizes[0])}{align(row[1:], sizes[1:])}")
        lines += more
        if row is cells[0]:
            lines.append("─" * (sum(sizes) + GAP * len(sizes[1:])))
    return lines


def stack(cells: Sequence[Sequence[str]], sizes: Sequence[int], width: int) -> list[str]:
    """Return each name in lines of its own, with its numbers below."""
    groups: list[list[int]] = [[]]
    for number, size in enumerate(sizes):
        if groups[-1] and sum(GAP + sizes[n] for n in groups[-1]) + GAP + size > width:
            groups.append([])
        groups[-1].append(number)
    lines: list[str] = []
    for row in cells:
        lines += wrap_words(row[0], width)
        lines += [align([row[1 + n] for n in group], [sizes[n] for n in group]) for group in groups]
        if row is cells[0]:
            lines.append("─" * width)
    return lines


def align(cells: Sequence[str], sizes: Sequence[int]) -> str:
    """Return numbers, each after a gap, at the right of its column."""
    return "".join(" " * (GAP + size - measure(cell)) + cell for cell, size in zip(cells, sizes, strict=True))


def wrap_words(text: str, width: int) -> list[str]:
    """Return a text as lines; a word that is wider than a line stays whole, and the terminal wraps it."""
    lines: list[str] = []
    for word in text.split():
        if lines and measure(lines[-1]) + 1 + measure(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


def pad(text: str, width: int) -> str:
    """Return a text with spaces up to a width in columns."""
    return text + " " * (width - measure(text))


def measure(text: str) -> int:
    """Return the columns that a terminal uses for a text: two for each wide character."""
    from rich.cells import cell_len

    return cell_len(text)
