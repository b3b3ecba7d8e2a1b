"""What comes from outside is shown as it is, except for what a terminal would obey."""

import json
import unicodedata
from types import SimpleNamespace

import pytest
from rich.text import Text

from elbert._display import UNSAFE, clean, clean_line, plural, shorten
from elbert.cli.render.bars import print_parts
from elbert.cli.render.reports import policy_table
from elbert.cli.render.terminal_tables import format_table
from elbert.cli.streams import print_note, print_warning
from tiny import write_bundle

WORDS = {
    "Persian": "می\u200cخواهم",
    "Hindi": "क्\u200dष",
    "a family": "👨\u200d👩\u200d👧",
    "a flag": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "a soft hyphen": "Donau\u00addampf\u00adschiff",
    "a direction mark": "שלום\u200f!",
    "a heart": "❤\ufe0f",
    "a word joiner": "a\u2060b",
    "newer than this Python": "\U0001fae9",
    "private use": "\ue000",
}
OBEYED = [*map(chr, [0, 7, 8, 0x1B, 0x7F, 0x85, 0x9B, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])]


@pytest.mark.parametrize("name", WORDS)
def test_words_are_shown_as_they_are(name):
    assert clean(WORDS[name]) == clean_line(WORDS[name]) == shorten(WORDS[name], 60) == WORDS[name]


@pytest.mark.parametrize("character", OBEYED, ids=ascii)
def test_what_a_terminal_obeys_is_replaced(character):
    assert clean(f"a{character}b") == "a\ufffdb"
    assert character not in clean_line(f"a{character}b")


def test_every_control_character_and_surrogate_is_replaced():
    kinds = {"Cc", "Cs", "Zl", "Zp"}
    for character in map(chr, range(0x110000)):
        if unicodedata.category(character) in kinds or unicodedata.bidirectional(character) in ("RLO", "LRO"):
            assert clean_line(f"a{character}b") in ("a\ufffdb", "a b"), ascii(character)


def test_shortened_lines():
    assert shorten("one\n two\t three", 60) == "one two three"
    assert shorten("x" * 100, 10) == "x" * 9 + "…"


def test_counts():
    assert [plural(n, "text") for n in (0, 1, 2, 2000)] == ["0 texts", "1 text", "2 texts", "2,000 texts"]
    assert [plural(n, "policy", "policies") for n in (1, 2)] == ["1 policy", "2 policies"]


EVIL = "a\x1b[2Jb\u202ec\x9bd"


def test_tables_keep_joiners_and_clean_the_rest(predict):
    result = predict(*WORDS.values(), EVIL, "--table")
    for line, word in zip(result.out.splitlines()[1:], WORDS.values(), strict=False):
        assert line.endswith(word)
    assert "\x1b" not in result.out
    assert "a\ufffd[2Jb\ufffdc\ufffdd" in result.out


def test_labels_notes_warnings_and_errors_are_cleaned(elbert, tmp_path, capsys):
    folder = write_bundle(tmp_path / "m", labels=(EVIL, "fine"))
    result = elbert("predict", "good film", "--model", folder, "--table", "--scores", "--trace")
    assert not UNSAFE.search(result.out.replace("\n", ""))
    file = tmp_path / f"{EVIL}.csv"
    file.write_text(f"{EVIL}\ngood\n")
    elbert("predict", "--input", file, "--model", folder).check_error(
        "no column named text; columns found: a\ufffd[2Jb"
    )
    for write in (print_note, print_warning):
        write(f"{EVIL}\nmore")
        assert not UNSAFE.search(capsys.readouterr().err[:-1])


def test_names_of_operating_points_are_cleaned(capsys):
    """Names come from the exits.json of any folder; they may hold anything."""
    scores = SimpleNamespace(policy=EVIL, metrics={"accuracy": 1.0}, mean_depth=1.0, layer_speedup=1.0)
    report = SimpleNamespace(policies=[scores], by_depth=[scores.metrics], problem="single_label_classification")
    head, rows = policy_table(report, {})
    print_parts(EVIL, [lambda name, width: [name, Text(f"{name}: ").append(name, "bold")]], max_width=100)
    shown = capsys.readouterr().out + "".join(format_table(head, rows, None))
    assert not UNSAFE.search(shown.replace("\n", ""))
    assert shown.count("\ufffd[2J") == 4


def test_json_is_the_text_itself(predict):
    assert json.loads(predict(EVIL, "--json").out)["text"] == EVIL
