"""ES modules become one classic script: order, scopes, rejected forms; the pages' own modules have no import cycle."""

from importlib.resources import files
from pathlib import Path

import pytest

from elbert.web import read_script
from elbert.web.scripts import ScriptError, bundle_script, list_imports

WEB = Path(str(files("elbert.web")))
SCRIPTS = sorted(str(file.relative_to(WEB)) for file in WEB.rglob("*.js"))


def value_of(modules, expression, entry="main.js"):
    from py_mini_racer import MiniRacer

    return MiniRacer().eval(f"{bundle_script(entry, modules.__getitem__)}\n{expression}")


def test_modules_run_once_after_what_they_import_each_in_its_own_scope():
    modules = {
        "main.js": 'import { a } from "./x/a.js";\nimport { b } from "./x/b.js";\n'
        "export const found = [a(), b, count()];\n"
        "function count() {\n  return 1;\n}\n",
        "x/a.js": '/* First. */\nimport {\n  log,\n} from "../log.js";\nconst own = log("a");\n'
        "export function a() {\n  return own;\n}\n",
        "x/b.js": 'import { log } from "../log.js";\nconst own = log("b");\nexport class B {}\nexport const b = own;\n',
        "log.js": "const lines = [];\nexport const log = (text) => lines.push(text) + text;\n",
    }
    assert value_of(modules, "JSON.stringify($main.found)") == '["1a","2b",1]'
    assert value_of(modules, "typeof $b.B") == "function"
    assert value_of(modules, "typeof own + typeof lines") == "undefinedundefined"
    assert list_imports("x/a.js", modules["x/a.js"]) == {"log.js": {"log"}}


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (
            {"main.js": 'import { a } from "./a.js";\n', "a.js": 'import { b } from "./main.js";\n'},
            "import cycle: main.js",
        ),
        ({"main.js": 'import { a } from "./a.js";\n', "a.js": "const a = 1;\n"}, "a.js does not export a"),
        ({"main.js": 'import { a } from "./x/main.js";\n', "x/main.js": "export const a = 1;\n"}, "this file name"),
        ({"main.js": 'import a from "./a.js";\n'}, "not a supported"),
        ({"main.js": 'import { a as b } from "./a.js";\n'}, "not a supported"),
        ({"main.js": 'import * as a from "./a.js";\n'}, "not a supported"),
        ({"main.js": 'import { a } from "library";\n'}, "not a supported"),
        ({"main.js": "export default 1;\n"}, "not a supported"),
        ({"main.js": "export let a = 1;\n"}, "not a supported"),
        ({"main.js": "const a = 1;\nexport { a };\n"}, "not a supported"),
        ({"main.js": 'const a = await import("./a.js");\n'}, "not a supported"),
    ],
)
def test_what_cannot_be_joined_is_rejected(modules, message):
    with pytest.raises(ScriptError, match=message):
        bundle_script("main.js", modules.__getitem__)


def test_every_module_is_joined_without_a_cycle():
    assert not [script for script in SCRIPTS if not read_script(script).endswith("})();\n")]


def test_file_names_are_unique():
    assert len({Path(script).name for script in SCRIPTS}) == len(SCRIPTS)
