"""Every block of the README that a reader could run is run."""

import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tiny import texts, write_bundle

ROOT = Path(__file__).parents[2]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A folder with what the README's reader has: data files, and an ALBERT under the name of a hub id."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples")
    write_bundle(Path("albert/albert-base-v2"))
    for name in ("reviews", "train", "validation"):
        lines = [f'"{text}",{"positive" if "good" in text else "negative"}' for text in texts(130, seed=len(name))]
        Path(f"{name}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return tmp_path


def test_python_blocks(stranger):
    found = blocks("python")
    assert found
    for block in found:
        exec(compile(block, "README.md", "exec"), {})


def test_console_blocks(stranger, capsys, monkeypatch):
    from elbert.cli.main import main

    commands = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    assert len(commands) >= 8
    for command in commands:
        words = shlex.split(command)
        if "|" in words:
            source = words[: words.index("|")]
            assert source[0] == "cat"
            monkeypatch.setattr("sys.stdin", Piped(io.BytesIO(Path(source[1]).read_bytes())))
            words = words[words.index("|") + 1 :]
        if words[0] == "make":
            continue  # what this very run was started by, and make demo below
        assert words[0] == "elbert"
        assert main(words[1:]) == 0, command
    assert len(Path("predictions.jsonl").read_text().splitlines()) == 12
    assert (stranger / "my-model" / "model.safetensors").exists()


class Piped:
    """Standard input with bytes behind it, as a pipe gives."""

    def __init__(self, buffer):
        self.buffer = buffer
        self.isatty = lambda: False


def test_what_the_readme_links_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_demo_output_is_what_the_demo_prints(stranger, capsys):
    """The session shown in the README is real: same answers, depths and reasons."""
    from elbert.cli.main import main

    (shown,) = [block for block in blocks("console") if block.startswith("$ make demo")]
    assert main(["predict", "--input", "examples/reviews.txt", "--table"]) == 0
    told = capsys.readouterr().out.splitlines()

    def facts(lines):
        rows = [line.split()[:5] for line in lines if re.match(r"(positive|negative) ", line)]
        return [(label, depth, reason) for label, _, depth, reason, _ in rows]

    assert facts(shown.splitlines()) == facts(told)
    assert len(facts(told)) == 12
