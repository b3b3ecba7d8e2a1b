"""Policies are named in their table and nowhere else: other code reads the table, or takes what the user names."""

import ast
import re
from pathlib import Path

from elbert.exits import POLICIES, policies
from elbert.exits.signals import SIGNALS

SOURCE = Path(__file__).parents[2] / "src" / "elbert"
TABLE = "exits/policies.py"
# Names that are also words: a depth, full depth, a window of depths, a settled or stable answer, and the signals.
WORDS = {"full", "depth", "window", "settled", "stable", *SIGNALS}
SPEC = re.compile(rf"\b(?:{'|'.join(POLICIES)})\(")
KINDS = {name for name, value in vars(policies).items() if value in POLICIES.values()}
# A name that means something else in a file: how many evaluations without a better score end a training.
OTHER_MEANINGS = {"training/options.py": {"patience"}}
# Examples in help texts and in the OpenAPI document.
EXAMPLES = {"cli/commands/explain.py", "cli/commands/predict.py", "serving/http/openapi.py"}


def docstrings(tree):
    for node in ast.walk(tree):
        first = node.body[0] if isinstance(getattr(node, "body", None), list) and node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            yield first.value


def find_names(source: str) -> list[str]:
    """The policies that a module names in texts, as specs, or as imported entries of the table."""
    tree = ast.parse(source)
    about = {id(node) for node in docstrings(tree)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in about:
            is_name = node.value in POLICIES.keys() - WORDS
            found += [node.value] if is_name or SPEC.search(node.value) else []
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("elbert.exits"):
            found += [alias.name for alias in node.names if alias.name in KINDS]
    return found


FILES = sorted(str(file.relative_to(SOURCE)) for file in SOURCE.rglob("*.py"))


def test_no_other_file_names_a_policy():
    for file in [file for file in FILES if file != TABLE and file not in EXAMPLES]:
        found = set(find_names((SOURCE / file).read_text(encoding="utf-8")))
        assert found <= OTHER_MEANINGS.get(file, set()), file


NAMES = re.compile(rf"\b(?:{'|'.join(sorted(POLICIES.keys() - WORDS))})\b")
ENDS = (".js", ".html", ".css", ".d.ts")
SCRIPTS = sorted(str(file.relative_to(SOURCE)) for file in SOURCE.rglob("*") if file.name.endswith(ENDS))


def test_no_page_names_a_policy():
    for file in SCRIPTS:
        text = (SOURCE / file).read_text(encoding="utf-8")
        assert not NAMES.findall(text), file
        assert not SPEC.findall(text), file
        assert not re.search(r"""["'`]window["'`]""", text), file


def test_names_are_found_where_they_are():
    assert {"Full", "Depth", "Patience", "PatientConfidence", "Window"} <= KINDS
    assert find_names((SOURCE / TABLE).read_text(encoding="utf-8"))
    assert all(find_names((SOURCE / file).read_text(encoding="utf-8")) for file in EXAMPLES)
    assert find_names('x = "patience"') == ["patience"]
    assert find_names("from elbert.exits.policies import Gap") == ["Gap"]
    assert find_names('f"entropy({x})"') == ["entropy("]
