"""Pages: plain HTML, SVG and JavaScript, put together into one file that needs no network and no build step."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_PART = re.compile(r"<!-- include (?P<name>[a-z_.]+) -->")
_DATA = "<!-- data -->"


def page(template: str, data: Mapping[str, Any] | None = None) -> str:
    """A whole page from ``web/<template>``: styles and scripts inside it, ``data`` as its JSON element ``#data``.

    In a template ``<!-- include NAME -->`` stands for the style sheet, script or drawing (css, js, svg) of that name,
    ``<!-- data -->`` for the data.
    """
    whole = _PART.sub(lambda part: _included(part["name"]), _read(template))
    return whole.replace(_DATA, _element(data), 1)


def _included(name: str) -> str:
    kind = name.rsplit(".", 1)[1]
    if kind == "svg":
        return _read(name).strip()
    tag = {"css": "style", "js": "script"}[kind]
    return f"<{tag}>\n{_read(name)}</{tag}>"


def _element(data: Mapping[str, Any] | None) -> str:
    # A text must not be able to close the element it stands in.
    told = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="data">{told}</script>'


def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
