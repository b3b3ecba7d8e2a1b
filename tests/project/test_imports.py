"""Imports point down, and no two files import each other, directly or through others (ARCHITECTURE.md)."""

import ast
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "elbert"
LAYERS = (  # an import leads to a lower layer, or stays in its own package
    ("_html", "_display"),
    (
        "errors",
        "prediction",
        "_optional",
        "_atomic",
        "_syntax",
        "_model_files",
        "_progress",
        "_settings",
        "_task_titles",
        "web",
    ),
    ("data", "exits"),
    ("tasks",),
    ("model", "tokenization"),
    ("inference", "bundle"),
    ("engine",),
    ("classifier_methods",),
    ("classifier",),
    ("evaluation", "ranking"),
    ("training", "explain", "calibration", "comparison", "serving", "export"),
    ("ray",),
    ("cli",),
)
LAYER = {package: layer for layer, packages in enumerate(LAYERS) for package in packages}
FILES = sorted(SOURCE.rglob("*.py"))
MODULES = {
    ".".join(("elbert", *file.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): file
    for file in FILES
}
METHODS = "elbert.classifier_methods"  # the methods of the public class that lead to higher packages
FACES = {"elbert", "elbert.__main__", METHODS}  # the public face exports every package


def imported_names(code: str) -> list[str]:
    """Every dotted name that a file imports, anywhere in it: inside functions and for type checkers too."""
    names = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and isinstance(node.args[0] if node.args else None, ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            names += [str(node.args[0].value)] if called in ("import_module", "__import__", "require") else []
    return [name for name in names if name == "elbert" or name.startswith("elbert.")]


def module_of(name: str, modules) -> str:
    """The module that an imported name leads to: the name itself, or what holds it."""
    while name not in modules:
        name = name.rpartition(".")[0]
    return name


def package_of(module: str) -> str:
    """The package, or the file, directly under elbert."""
    return module.split(".")[1]


def is_allowed(package: str, other: str) -> bool:
    """Whether a package may import another; ``errors`` is open to all, its own layer included."""
    return other in ("errors", package) or LAYER[other] < LAYER[package]


@cache
def imported_modules(module: str) -> set[str]:
    """The modules of elbert that a module imports. ``elbert.__version__`` is in the public face and counts for none."""
    names = imported_names(MODULES[module].read_text())
    return {module_of(name, MODULES) for name in names} - {"elbert", module}


def find_cycle(edges: dict[str, set[str]]) -> list[str]:
    """A path that returns to its start, or nothing."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for other in sorted(edges.get(node, ())):
            if cycle := visit(other, [*path, node]):
                return cycle
        done.add(node)
        return []

    return next((cycle for node in sorted(edges) if (cycle := visit(node, []))), [])


def test_imports_point_down():
    for module in sorted(MODULES.keys() - FACES):
        package = package_of(module)
        assert package in LAYER, f"{package} is a new package: give it a layer here and in ARCHITECTURE.md"
        wrong = [other for other in imported_modules(module) if not is_allowed(package, package_of(other))]
        assert not wrong, f"{module} (layer {LAYER[package]}) imports {', '.join(wrong)}"


def test_the_face_imports_higher_packages_only_when_they_are_used():
    """At the top of the file, only what lies below; the rest inside functions, or for type checkers."""
    tree = ast.parse(MODULES[METHODS].read_text())
    top = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {package_of(module_of(name, MODULES)) for name in imported_names("\n".join(top))}
    assert all(is_allowed(package_of(METHODS), package) for package in found), found


def test_no_file_imports_itself_through_others():
    """Imports inside functions and for type checkers count. A package's ``__init__`` only lists names."""
    cycle = find_cycle({module: imported_modules(module) for module in MODULES.keys() - FACES})
    assert not cycle, " -> ".join(cycle)


def test_a_cycle_is_found():
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c", "b"]
    assert not find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_the_check_sees_every_kind_of_import():
    code = """
import elbert.tokenization.tokenizer as t
from elbert.model import Layout
from elbert import classifier
if TYPE_CHECKING:
    from elbert.cli.main import main
def f():
    from elbert.evaluation import evaluate
    import_module("elbert.training.run")
    importlib.import_module("elbert.bundle")
import elbertine.inference
"""
    packages = sorted({package_of(module_of(name, MODULES)) for name in imported_names(code)})
    assert packages == ["bundle", "classifier", "cli", "evaluation", "model", "tokenization", "training"]
    assert not is_allowed("data", "model")  # one layer, two packages
    assert not is_allowed("exits", "inference")
    assert not is_allowed("errors", "prediction")
    assert is_allowed("inference", "exits")


def test_there_is_something_to_check():
    assert len(FILES) > 50
    packages = {package_of(module) for module in MODULES.keys() - FACES}
    assert {
        "data",
        "tokenization",
        "model",
        "exits",
        "inference",
        "bundle",
        "evaluation",
        "training",
        "cli",
    } <= packages
