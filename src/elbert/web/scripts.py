"""Join ES modules into one classic script.

Browsers do not load ES modules from ``file://``, and a content security policy by hash allows inline scripts only. So a
page holds its modules as one script: each module becomes a function that returns its exports, in the order of imports.
The sources stay ES modules that editors, the type checker and Node understand. They keep to these forms, and anything
else is an error:

- ``import { name, … } from "./relative/path.js";`` above all other code, no renaming, no default, no namespace;
- ``export function``, ``export async function``, ``export class`` or ``export const NAME =`` at the start of a line.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from elbert.errors import ElbertError

_IMPORT = re.compile(
    r'^import \{(?P<names>\s*\w+(?:,\s*\w+)*,?\s*)\} from "(?P<path>\.{1,2}/[\w/.]+\.js)";\n', re.MULTILINE
)
_EXPORT = re.compile(r"^export (?P<rest>(?:async function|function|class|const) (?P<name>\w+))", re.MULTILINE)
_MODULE_CODE = re.compile(r"^\s*(?:import|export)\b|\bimport\s*[.(]", re.MULTILINE)


class ScriptError(ElbertError):
    """A module is not of the form that can be joined, or modules import one another in a circle."""


def bundle_script(entry: str, read: Callable[[str], str]) -> str:
    """Return the module ``entry`` with all its imports as one script; ``read(path)`` returns a module's source.

    Every module is the constant ``$<file name>``, for example ``$dom.h`` for the export ``h`` of ``shared/dom.js``.

    Raises:
        ScriptError: a form of import or export that is not supported, a name that the imported module does not
            export, an import cycle, or two modules of one file name.
    """
    done: dict[str, frozenset[str]] = {}
    parts: list[str] = ['"use strict";\n']

    def add(path: str, chain: tuple[str, ...]) -> None:
        if path in chain:
            raise ScriptError(f"import cycle: {' -> '.join((*chain[chain.index(path) :], path))}")
        if path in done:
            return
        source = read(path)
        imports = list_imports(path, source)
        for target in imports:
            add(target, (*chain, path))
        if _constant(path) in {_constant(other) for other in done}:
            raise ScriptError(f"{path}: another module of the same page has this file name")
        for target, names in imports.items():
            if missing := names - done[target]:
                raise ScriptError(f"{path}: {target} does not export {', '.join(sorted(missing))}")
        exports = [match["name"] for match in _EXPORT.finditer(source)]
        parts.append(_wrap(path, source, imports, exports))
        done[path] = frozenset(exports)

    add(entry, ())
    return "".join(parts)


def list_imports(path: str, source: str) -> dict[str, set[str]]:
    """Return ``{module: imported names}`` of a module, with paths relative to the folder of all scripts.

    Raises:
        ScriptError: an import or export of another form.
    """
    found: dict[str, set[str]] = {}
    for match in _IMPORT.finditer(source):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match["path"]))
        found.setdefault(target, set()).update(name.strip() for name in match["names"].split(",") if name.strip())
    rest = _EXPORT.sub("", _IMPORT.sub("", _strip_comments(source)))
    if other := _MODULE_CODE.search(rest):
        line = rest[other.start() :].lstrip().split("\n", 1)[0]
        raise ScriptError(f"{path}: {line!r} is not a supported import or export; see elbert/web/scripts.py")
    return found


def _wrap(path: str, source: str, imports: dict[str, set[str]], exports: list[str]) -> str:
    body = _EXPORT.sub(lambda match: match["rest"], _IMPORT.sub("", source))
    header = "".join(
        f"const {{ {', '.join(sorted(names))} }} = {_constant(target)};\n" for target, names in imports.items()
    )
    result = f"return {{ {', '.join(exports)} }};\n" if exports else ""
    return f"const {_constant(path)} = (() => {{\n{header}{body}{result}}})();\n"


def _constant(path: str) -> str:
    return "$" + posixpath.basename(path).removesuffix(".js")


def _strip_comments(source: str) -> str:
    return re.sub(r"^\s*(?:/\*.*?\*/|//[^\n]*)", "", source, flags=re.MULTILINE | re.DOTALL)
