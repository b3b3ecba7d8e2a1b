"""Pages: HTML, style sheets and ES modules, joined into one file that needs no network, no server and no build step."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

from elbert.web.scripts import ScriptError, bundle_script

_PART = re.compile(r"<!-- include (?P<name>[a-z_/]+\.(?:css|js|svg)) -->")
_DATA, _TABLE = "<!-- data -->", "<!-- table -->"
_INLINE = re.compile(r"<(?P<tag>script|style)>(?P<content>.*?)</(?P=tag)>", re.DOTALL)


def render_page(template: str, data: Mapping[str, Any] | None = None, table: Mapping[str, Any] | None = None) -> str:
    """Return the page ``web/<template>`` with its styles, scripts, ``data`` and ``table`` inside it.

    In a template ``<!-- include FOLDER/NAME -->`` is replaced by a style sheet, a drawing (svg) or a script with all
    the modules that it imports; ``<!-- data -->`` by a JSON element with the id ``data``; ``<!-- table -->`` by the
    table of policies (:func:`elbert.exits.encoding.policy_table`) as a script, on pages that run or draw policies.
    """
    page = _PART.sub(lambda part: _include(part["name"]), read_source(template))
    if _TABLE in page and table is not None:
        page = page.replace(_TABLE, f"<script>\n{write_table(table)}</script>", 1)
    return page.replace(_DATA, _embed_json(data), 1)


def write_table(table: Mapping[str, Any]) -> str:
    """Return the table as a script, ``const POLICY_TABLE = …``, in which the signals' scripts are functions.

    Content security policies forbid making functions of texts, so they are part of the page and of its hashes.

    Raises:
        ScriptError: a signal's script could close the element.
    """
    signals = ""
    for signal in table["signals"]:
        script = signal["script"]
        if "</" in script or "<!" in script:
            raise ScriptError(f"signal {signal['name']}: its script has </ or <!; put a space after <")
        values = {name: value for name, value in signal.items() if name != "script"}
        signals += f"{{...{_encode_json(values)}, script: {script}}},\n"
    rest = _encode_json({name: value for name, value in table.items() if name != "signals"})
    return f'"use strict";\nconst POLICY_TABLE = {{...{rest}, signals: [\n{signals}]}};\n'


def list_hashes(page: str, tag: str) -> str:
    """Return the sources, for a content security policy, of the scripts or styles that are inside a page."""
    found = (part["content"] for part in _INLINE.finditer(page) if part["tag"] == tag)
    return " ".join(f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'" for content in found)


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
    return f'<script type="application/json" id="data">{_encode_json(data)}</script>'


def _encode_json(data: Mapping[str, Any] | None) -> str:
    # Without "<" no text in the data can close the element.
    return json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
