"""Rules of the project that no linter checks."""

import ast
import re
from pathlib import Path

from elbert.tasks import TASKS

SOURCE = Path(__file__).parents[2] / "src" / "elbert"
FILES = sorted(SOURCE.rglob("*.py"))
PICKLES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}

TREES = {str(file.relative_to(SOURCE)): ast.parse(file.read_text()) for file in FILES}


def nodes(tree, *kinds):
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def test_every_file_has_a_docstring():
    assert not [file for file, tree in TREES.items() if not ast.get_docstring(tree)]


def test_only_the_command_line_prints():
    calls = {file: [getattr(node.func, "id", None) for node in nodes(tree, ast.Call)] for file, tree in TREES.items()}
    assert not [file for file, names in calls.items() if "print" in names and "cli" not in Path(file).parts]


def test_no_error_is_swallowed_unnamed():
    handlers = {file: nodes(tree, ast.ExceptHandler) for file, tree in TREES.items()}
    assert not [file for file, found in handlers.items() if any(handler.type is None for handler in found)]


def test_no_pickle():
    for file, tree in TREES.items():
        imported = {alias.name for node in nodes(tree, ast.Import, ast.ImportFrom) for alias in node.names}
        imported |= {str(node.module) for node in nodes(tree, ast.ImportFrom)}
        assert not {name.split(".")[0] for name in imported} & PICKLES, file
        for call in nodes(tree, ast.Call):
            keywords = {key.arg: getattr(key.value, "value", None) for key in call.keywords}
            assert keywords.get("allow_pickle") is not True, file
            function = ast.unparse(call.func)
            if function == "torch.load":
                assert keywords.get("weights_only") is True, file
            if function in ("np.load", "numpy.load"):
                assert keywords.get("allow_pickle") is False, file


def test_no_assert_in_the_package():
    assert not [file for file, tree in TREES.items() if nodes(tree, ast.Assert)]


def test_only_tasks_know_a_problem_type_by_name():
    """All other code asks the task what it needs to know; a new task is one file."""
    for file in [file for file in TREES if "tasks" not in Path(file).parts and Path(file).stem != "_task_titles"]:
        constants = {node.value for node in nodes(TREES[file], ast.Constant) if isinstance(node.value, str)}
        assert not constants & TASKS.keys(), file
    for file in sorted(SOURCE.rglob("*.js")):
        assert not re.search(rf"""(["'`])({"|".join(TASKS)})\1""", file.read_text()), file


COUNTED = re.compile(
    r"\{[^{}]+\} (?:texts|rows|lists|depths|labels|policies|words|tags|windows|families|outputs)\b(?! per second)"
)
# Errors of programs, and lines for counts above 1.
COUNTED_ELSEWHERE = ("model/native/", "exits/spec.py", "explain/rule_tracks.py", "serving/http/schemas/tei.py")
COUNTED_ELSEWHERE += ("serving/admission.py", "training/starting_head.py", "training/advice.py", "training/features.py")


def test_counts_in_messages_agree_with_their_nouns():
    """``plural`` writes 1 text and 2 texts."""
    lines = {
        f"{file}:{number}": line.strip()
        for file in TREES
        if not file.startswith(COUNTED_ELSEWHERE)
        for number, line in enumerate((SOURCE / file).read_text().splitlines(), 1)
    }
    assert not {place: line for place, line in lines.items() if COUNTED.search(line)}
