"""Rules of the project that no linter checks."""

import ast
import re
from pathlib import Path

import pytest

from elbert.tasks import TASKS

SOURCE = Path(__file__).parents[2] / "src" / "elbert"
FILES = sorted(SOURCE.rglob("*.py"))
PICKLES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}

each_file = pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))


def nodes(file, *kinds):
    return [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)]


@each_file
def test_a_file_has_a_docstring(file):
    assert ast.get_docstring(ast.parse(file.read_text()))


@each_file
def test_only_the_command_line_prints(file):
    if "cli" not in file.parts:
        calls = [getattr(node.func, "id", None) for node in nodes(file, ast.Call)]
        assert "print" not in calls


@each_file
def test_no_error_is_swallowed_unnamed(file):
    assert all(handler.type is not None for handler in nodes(file, ast.ExceptHandler))


@each_file
def test_no_pickle(file):
    imported = {alias.name for node in nodes(file, ast.Import, ast.ImportFrom) for alias in node.names}
    imported |= {str(node.module) for node in nodes(file, ast.ImportFrom)}
    assert not {name.split(".")[0] for name in imported} & PICKLES
    for call in nodes(file, ast.Call):
        keywords = {key.arg: getattr(key.value, "value", None) for key in call.keywords}
        assert keywords.get("allow_pickle") is not True
        if ast.unparse(call.func) == "torch.load":
            assert keywords.get("weights_only") is True
        if ast.unparse(call.func) in ("np.load", "numpy.load"):
            assert keywords.get("allow_pickle") is False


@each_file
def test_no_assert_in_the_package(file):
    assert not nodes(file, ast.Assert)


def test_only_tasks_know_a_problem_type_by_name():
    """All other code asks the task what it needs to know; a new task is one file."""
    for file in [file for file in FILES if "tasks" not in file.parts and file.stem != "_task_titles"]:
        constants = {node.value for node in nodes(file, ast.Constant) if isinstance(node.value, str)}
        assert not constants & TASKS.keys(), file
    for file in sorted(SOURCE.rglob("*.js")):
        assert not re.search(rf"""(["'`])({"|".join(TASKS)})\1""", file.read_text()), file
