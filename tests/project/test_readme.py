"""The README: what it promises, and its length. Its code blocks and links are tested with the other documents."""

import re
import shutil
import sys

import pytest

from documents import ROOT, blocks

README = ROOT / "README.md"
MOST_LINES = 120


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= MOST_LINES


def test_it_has_the_two_promised_commands():
    assert any(block.text.startswith("$ make demo") for block in blocks(README, "console"))
    assert "`make test`" in README.read_text()


def test_its_python_is_twelve_lines():
    (block,) = blocks(README, "python")
    assert len([line for line in block.text.splitlines() if line.strip()]) <= 12


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder with the examples of the repository."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples")
    return tmp_path


def test_demo_output_is_what_the_demo_prints(reader, capsys, monkeypatch):
    """The session shown in the README is real, on a terminal of 100 columns: predictions, depths, reasons and texts."""
    from elbert.cli.main import main

    (shown,) = [block.text for block in blocks(README, "console") if block.text.startswith("$ make demo")]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["predict", "--input", "examples/reviews.txt", "--table"]) == 0
    printed = capsys.readouterr().out.splitlines()

    def facts(lines):
        rows = [line.split(maxsplit=4) for line in lines if re.match(r"(positive|negative) ", line)]
        return [(label, depth, reason, text) for label, _, depth, reason, text in rows]

    assert facts(shown.splitlines()) == facts(printed)
    assert len(facts(printed)) == 12
