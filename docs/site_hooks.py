"""Hooks of mkdocs: links to files outside ``docs`` become their path, because the site has only the pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace links that lead out of ``docs`` by the text and the path in the repository."""
    folder = (DOCS / page.file.src_uri).parent

    def replace(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        file = (folder / target).resolve()
        if file.is_relative_to(DOCS.resolve()):
            return match[0]
        path = file.relative_to(DOCS.parent.resolve())
        return f"`{path}`" if text.strip("`") == str(path) else f"{text}: `{path}`"

    return LINK.sub(replace, markdown)
