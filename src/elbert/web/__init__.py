"""Pages: HTML, style sheets and ES modules, joined into one file that needs no network, no server and no build step."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from elbert.web.scripts import bundle_script

_PART = re.compile(r"<!-- include (?P<name>[a-z_/]+\.(?:css|js|svg)) -->")
_DATA = "<!-- data -->"


def render_page(template: str, data: Mapping[str, Any] | None = None) -> str:
    """Return the page ``web/<template>`` with its styles, scripts and ``data`` inside it.

    In a template ``<!-- include FOLDER/NAME -->`` is replaced by a style sheet, a drawing (svg) or a script with all
    the modules that it imports; ``<!-- data -->`` by a JSON element with the id ``data``.
    """
    page = _PART.sub(lambda part: _include(part["name"]), read_source(template))
    return page.replace(_DATA, _embed_json(data), 1)


def read_source(name: str) -> str:
    """Return the text of ``web/<name>``, for example ``shared/style.css``."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def read_script(name: str) -> str:
    """Return the module ``web/<name>`` and all that it imports as one classic script."""
    return bundle_script(name, read_source)


def _include(name: str) -> str:
    kind = name.rsplit(".", 1)[1]
    if kind == "svg":
        return read_source(name).strip()
    if kind == "css":
        return f"<style>\n{read_source(name)}</style>"
    return f"<script>\n{read_script(name)}</script>"


def _embed_json(data: Mapping[str, Any] | None) -> str:
    # Without "<" no text in the data can close the element.
    encoded = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="data">{encoded}</script>'
