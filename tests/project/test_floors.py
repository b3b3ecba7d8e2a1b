"""Imports point down: an import leads to a lower floor or stays in its own room (ARCHITECTURE.md)."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "elbert"
FLOORS = (
    ("errors", "prediction", "_extras", "_files", "web"),
    ("text", "model", "exits"),
    ("depth", "bundle"),
    ("engine",),
    ("classifier",),
    ("evaluation",),
    ("training", "explaining", "calibration", "comparison", "serving", "export"),
    ("ray",),
    ("cli",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(SOURCE.rglob("*.py"))


def room_of(file: Path) -> str:
    """The folder or file directly under elbert."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def rooms_imported(code: str) -> list[str]:
    """The rooms that a file imports from anywhere in it: inside functions and for type checkers too."""
    rooms = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            # "from elbert import x" may mean the room x; "from elbert.x import y" is x whatever y is.
            names = [f"elbert.{a.name}" for a in node.names] if node.module == "elbert" else [str(node.module)]
        elif isinstance(node, ast.Call) and isinstance(node.args[0] if node.args else None, ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            names = [str(node.args[0].value)] if called in ("import_module", "__import__", "require") else []
        else:
            continue
        rooms += [name.split(".")[1] for name in names if name.startswith("elbert.")]
    return rooms


def allowed(room: str, other: str) -> bool:
    """``elbert.__version__`` is nobody's room, and errors are the ground that the rest of the ground stands on."""
    return other in ("__version__", "errors", room) or FLOOR[other] < FLOOR[room]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_imports_point_down(file):
    room = room_of(file)
    if room in ("__init__", "__main__"):
        return  # the face, which shows every room
    assert room in FLOOR, f"{room} is a new room: give it a floor here and in ARCHITECTURE.md"
    wrong = [other for other in rooms_imported(file.read_text()) if not allowed(room, other)]
    assert not wrong, f"{room} (floor {FLOOR[room]}) imports {', '.join(wrong)}"


def test_the_check_sees_every_kind_of_import():
    code = """
import elbert.text.tokenise as t
from elbert.model import Layout
from elbert import classifier
if TYPE_CHECKING:
    from elbert.cli.main import main
def f():
    from elbert.evaluation import evaluate
    import_module("elbert.training.run")
    importlib.import_module("elbert.bundle")
import elbertine.depth
"""
    assert sorted(rooms_imported(code)) == ["bundle", "classifier", "cli", "evaluation", "model", "text", "training"]
    assert not allowed("text", "model")  # one floor, two rooms
    assert not allowed("exits", "depth")
    assert not allowed("errors", "prediction")
    assert allowed("depth", "exits")


def test_there_is_something_to_check():
    assert len(FILES) > 50
    assert {"text", "model", "exits", "depth", "bundle", "classifier", "evaluation", "training", "cli"} <= {
        room_of(file) for file in FILES
    }
