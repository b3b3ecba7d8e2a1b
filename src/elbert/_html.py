"""Small HTML tables for notebooks: no script, no style sheet, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

MAX_ROWS = 20
MAX_CHARACTERS = 300
CELL = "text-align:left;vertical-align:top"


class Html(str):
    """Text that is HTML already."""


def cell(value: object) -> Html:
    """Return a value as the content of a cell: shortened, escaped."""
    if isinstance(value, Html):
        return value
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return Html(escape(text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, caption: object = "", note: object = "") -> Html:
    """Return a table; ``note`` is a line below it."""
    head = "".join(f'<th style="{CELL}">{cell(name)}</th>' for name in columns)
    lines = ("".join(f'<td style="{CELL}">{cell(value)}</td>' for value in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    title = f"<caption>{cell(caption)}</caption>" if caption else ""
    header = f"<thead><tr>{head}</tr></thead>" if columns else ""
    below = f"<p>{cell(note)}</p>" if note else ""
    return Html(f"<table>{title}{header}<tbody>{body}</tbody></table>{below}")


def bar(share: float, label: object = "") -> Html:
    """Return a bar from 0 to 1 with its label, readable without colours."""
    width = round(100 * min(max(share, 0.0), 1.0))
    return Html(
        f'<span style="display:inline-block;width:6em;border:1px solid currentColor">'
        f'<span style="display:inline-block;width:{width}%;background:currentColor">&nbsp;</span></span> {cell(label)}'
    )
