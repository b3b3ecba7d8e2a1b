"""The page itself: one file of HTML that may talk to its own folder and to nobody else."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

from elbert.web import page

WORKER = (
    "in_browser_unicode.js",
    "in_browser_charsmap.js",
    "unigram.js",
    "in_browser_wordpiece.js",
    "in_browser_tokens.js",
    "in_browser_worker.js",
)
_POLICY = "<!-- policy -->"
_INSIDE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


def whole_page(about: Mapping[str, Any]) -> str:
    """``index.html``: styles, scripts and the thread's script inside it, and what it may do."""
    html = page("in_browser.html", {**about, "worker": worker()})
    return html.replace(_POLICY, f'<meta http-equiv="Content-Security-Policy" content="{allowed(html)}">', 1)


def worker() -> str:
    """The script of the thread that tokenizes and runs the model."""
    return "\n".join(files("elbert.web").joinpath(name).read_text(encoding="utf-8") for name in WORKER)


def allowed(html: str) -> str:
    """A content security policy: the page's own scripts and styles, its own folder, no other address.

    The thread's script comes from inside the page, so that what holds for the page holds for the thread.
    """
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for tag, content in _INSIDE.findall(html):
        hashes[tag].append(f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'")
    return (
        f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval' {' '.join(hashes['script'])}; "
        f"style-src {' '.join(hashes['style'])}; worker-src blob: 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
