"""Tables for people, in Markdown, and the few statistics under them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: the first column is words, the others are numbers."""
    return join_cells([list(header), ["---", *["--:"] * (len(header) - 1)], *map(list, rows)])


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of words."""
    return join_cells([list(header), ["---"] * len(header), *map(list, rows)])


def join_cells(lines: Sequence[Sequence[str]]) -> str:
    """Cells between bars; a bar within a cell is no border."""
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def percent(share: float) -> str:
    """A share in points."""
    return f"{100 * share:.1f}"


def spread(shares: Sequence[float]) -> str:
    """Mean and standard deviation over seeds, in points; without the latter where there is one seed."""
    mean = percent(statistics.fmean(shares))
    return f"{mean} ± {100 * statistics.stdev(shares):.1f}" if len(shares) > 1 else mean


def points(difference: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * difference:+.2f}"


def deviation(values: Sequence[float]) -> float | None:
    """Standard deviation over seeds; none where there is one seed."""
    return statistics.stdev(values) if len(values) > 1 else None


def p_value(p: float) -> str:
    """A probability, short."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def rounded(value: float | None, digits: int = 5) -> float | None:
    """For a record."""
    return None if value is None else round(value, digits)
