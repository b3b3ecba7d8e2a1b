"""ARCHITECTURE.md agrees with the code: its paths exist, and its table names the files that a change touches."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "elbert"
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
CODE = {str(f.relative_to(SOURCE)): f.read_text() for kind in ("*.py", "*.js") for f in SOURCE.rglob(kind)}


def table_rows() -> list[tuple[str, set[str], list[str]]]:
    """The rows of "Where does my change go?": the change, its files, and the names of an existing example."""
    section = TEXT.split("## Where does my change go?")[1]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if "|" in line]
    rows = [(row[0], set(re.findall(r"`([^`]+)`", row[1])), re.findall(r"`([^`]+)`", row[2])) for row in cells[2:]]
    return [(change, files, names) for change, files, names in rows if names]


def files_with(name: str) -> set[str]:
    """The files of the package in which an identifier occurs."""
    whole_name = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return {file for file, text in CODE.items() if whole_name.search(text)}


@pytest.mark.parametrize(("change", "files", "names"), table_rows(), ids=[row[0] for row in table_rows()])
def test_a_change_touches_the_named_files(change, files, names):
    """The example was such a change: its names occur in the named files and in no others."""
    touched = set().union(*(files_with(name) for name in names))
    assert touched == files


def test_there_are_at_least_six_kinds_of_change():
    assert len(table_rows()) >= 6


def test_paths_exist():
    for path in sorted(set(re.findall(r"`([a-z_]+/[a-z_/.]*|[a-z_]+\.(?:py|md))`", TEXT))):
        candidates = [ROOT / path, SOURCE / path, SOURCE / f"{path}.py", *SOURCE.glob(f"*/{path}")]
        assert any(candidate.exists() for candidate in candidates), path
