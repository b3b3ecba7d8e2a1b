"""Code blocks of Markdown files, with the marker that defines how a test treats a block.

A marker is a comment in the line before the block::

    <!-- parsed: REASON -->    elbert commands are parsed by the real parser, and not run
    <!-- not run: REASON -->   nothing is run
    <!-- server -->            run against a server by tests/serving_load/test_docs.py
    <!-- reduced: FLAGS -->    run with these flags added to each elbert command
"""

import contextlib
import io
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md", *(ROOT / "docs").rglob("*.md")]
)
SHELLS = ("sh", "console")
MARKERS = ("", "parsed", "not run", "server", "reduced")
BLOCK = re.compile(r"(?:^<!-- ([a-z ]+?)(?:: (.*?))? -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, its marker, and the reason or flags of the marker."""

    language: str
    text: str
    marker: str = ""
    detail: str = ""

    @property
    def commands(self):
        """Shell commands, one a line: continued lines are joined, comments and output removed."""
        lines = re.sub(r"\\\n", " ", self.text).splitlines()
        if self.language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def blocks(page, *languages):
    """The blocks of a page, in order; of some languages if they are named."""
    found = [Block(m[3], m[4], m[1] or "", m[2] or "") for m in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    return [block for block in found if not languages or block.language in languages]


class Pipe:
    """Standard input with bytes behind it, as a pipe gives."""

    def __init__(self, content):
        self.buffer = io.BytesIO(content)
        self.isatty = lambda: False


class Shell:
    """Runs the commands of documents in the current folder: ``elbert`` in this process, and a few others."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        self.variables = {}

    def run(self, command, *flags, parse_only=False):
        """Run one command line; a command without a rule here fails."""
        if assigned := re.fullmatch(r'(\w+)=\$\(python -c "(.*)"\)', command):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(assigned[2], {})
            self.variables[assigned[1]] = out.getvalue().strip()
            return
        words = [self.expand(word) for word in shlex.split(command, comments=True)]
        if "|" in words:
            source = words[: words.index("|")]
            assert source[0] == "cat", command
            self.monkeypatch.setattr(sys, "stdin", Pipe(Path(source[1]).read_bytes()))
            words = words[words.index("|") + 1 :]
        if words[0] == "elbert":
            self.run_elbert([*words[1:], *flags], parse_only=parse_only)
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M), command
        elif words[:2] == ["pip", "install"]:
            self.check_extras(words[2:])
        elif words[0] == "python" and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), command
        else:
            assert parse_only, f"no rule for {command!r}: add a marker to its block"

    def run_elbert(self, arguments, *, parse_only):
        """Run an ``elbert`` command; or only parse it, and reject flags that it does not know."""
        from elbert.cli.main import main, parser

        if not parse_only:
            assert arguments[0] not in ("serve", "explore"), "these run until Ctrl-C: mark the block as parsed"
            assert main(arguments) == 0, arguments
            return
        parsed, extra = parser().parse_known_args(arguments)
        assert not extra or parsed.command == "train", extra

    def expand(self, word):
        """Put variables in their places."""
        return re.sub(r"\$(\w+)", lambda match: self.variables[match[1]], word)

    def check_extras(self, arguments):
        """The extras that are installed exist."""
        import tomllib

        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        for extra in re.findall(r"\[([\w,]+)\]", " ".join(arguments)):
            assert set(extra.split(",")) <= set(known), extra
