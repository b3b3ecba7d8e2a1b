"""The project's language: no private words, unique module names, modules that are nouns (ARCHITECTURE.md, Language).

Checked: identifiers, docstrings, comments and messages in Python; identifiers, comments and texts in JavaScript, HTML,
CSS and C; Markdown; ``--help`` of every command.
"""

import io
import re
import tokenize
from collections import Counter
from pathlib import Path

import pytest

from elbert.cli.main import COMMANDS, parser

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "elbert"
BANNED = frozenset(
    [
        "told",
        "said",
        "heard",
        "hear",
        "wanted",
        "asked",
        "somebody",
        "nobody",
        "whoever",
        "unsaid",
        "unasked",
        "foretold",
        "foreseen",
        "stranger",
        "strangers",
        "mended",
    ]
)
BANNED_NAMES = BANNED | {"given"}  # "given a policy" is plain English in a sentence, but no name
DECORATOR = re.compile(r"(?<=from hypothesis import )(?:\w+, )*given\b|(?<=@)given\b")  # hypothesis' name, not ours
SHARED_BASE_NAMES = {"__init__", "config", "errors", "metrics", "settings"}
FOLDERS = ("src", "tests", "benchmarks", "experiments", "recipes", "examples", "docs", "deploy")
PYTHON = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
TEXTS = sorted(
    file
    for pattern in ("*.md", "*.js", "*.mjs", "*.html", "*.css", "*.c", "*.h", "*.yaml", "*.toml", "Makefile", "*.yml")
    for folder in FOLDERS
    for file in (ROOT / folder).rglob(pattern)
    if "node_modules" not in file.parts and "vendor" not in file.parts
) + sorted([*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "Makefile"])
HERE = Path(__file__)


def split_identifier(name: str) -> list[str]:
    """The words of an identifier in lower case: ``snake_case`` and ``CamelCase``."""
    return re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower())


def words_of_python(code: str) -> tuple[set[str], set[str]]:
    """The words of a file's identifiers, and those of its docstrings, comments and strings."""
    names: set[str] = set()
    prose: set[str] = set()
    for token in tokenize.generate_tokens(io.StringIO(DECORATOR.sub("property", code)).readline):
        if token.type == tokenize.NAME:
            names.update(split_identifier(token.string))
        elif token.type in (tokenize.STRING, tokenize.COMMENT) or "FSTRING" in tokenize.tok_name[token.type]:
            prose.update(split_identifier(token.string))
    return names, prose


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_python_uses_plain_words():
    found = {}
    for file in [file for file in PYTHON if file != HERE]:
        names, prose = words_of_python(file.read_text())
        if wrong := (names & BANNED_NAMES) | (prose & BANNED):  # of identifiers; of docstrings, comments, messages
            found[relative(file)] = sorted(wrong)
    assert not found


def test_documents_and_pages_use_plain_words():
    words = {relative(file): set(split_identifier(file.read_text(encoding="utf-8"))) for file in TEXTS}
    assert not {file: sorted(found & BANNED) for file, found in words.items() if found & BANNED}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_uses_plain_words(command, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--help"] if command else ["--help"])
    found = set(split_identifier(capsys.readouterr().out)) & BANNED_NAMES
    assert not found, sorted(found)


def test_base_names_are_unique():
    counts = Counter(file.stem for file in SOURCE.rglob("*.py") if file.stem not in SHARED_BASE_NAMES)
    repeated = {name: count for name, count in counts.items() if count > 1}
    assert not repeated


PARTICIPLES = re.compile(r"(?!bed|feed|speed|embed|need|seed|shed|red)[a-z]+ed$")
NO_NOUNS = frozenset(["given", "told", "said", "taking", "failing", "warming", "running", "tokenising", "ahead"])


def test_modules_are_nouns():
    """No participle ("served"), pronoun or preposition names a module; "-ing" only for nouns such as training."""
    words = {file.stem for file in SOURCE.rglob("*.py")} | {file.parent.name for file in SOURCE.rglob("__init__.py")}
    wrong = {word for word in words if NO_NOUNS & set(word.split("_")) or PARTICIPLES.match(word.split("_")[-1])}
    assert not wrong


def test_the_check_sees_every_kind_of_word():
    names, prose = words_of_python(
        'def toldTwice(was_given):\n    """Nobody."""\n    return f"{was_given} said"  # heard\n'
    )
    assert {"told", "given"} <= names
    assert {"nobody", "said", "heard"} <= prose
    assert split_identifier("HTTPServerSaid") == ["http", "server", "said"]
