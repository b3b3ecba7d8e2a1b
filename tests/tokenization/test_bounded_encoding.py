"""A long text is tokenised only as far as truncation keeps it, with the ids of the whole."""

import tempfile
from pathlib import Path

import pytest
from folders import FAMILIES, MAKERS, OWN_CLASS, write_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elbert.tokenization import Tokeniser, bounded_encoding
from elbert.tokenization.bounded_encoding import truncate

BUNDLED = Path(bounded_encoding.__file__).parents[1] / "bundled"
PIECES = [
    "the film ",
    "a",
    "aaaa",
    " ",
    "     ",
    "\n\n",
    "é",
    "e\u0301",
    "\u0301" * 9,
    "電影",
    "ﷺ",
    "ﬁ",
    "don't ",
    "'re",
    "1,2,",
]
PIECES += [
    '{"a":1,"b":"',
    "[MASK]",
    " <new> ",
    "<new>",
    "new York ",
    "``",
    "x" * 120,
    "\u00a0",
    "\u3000",
    "\u0600 ",
    "😀",
    "\x00",
]
LONG = st.lists(st.tuples(st.sampled_from(PIECES), st.integers(1, 60)), min_size=1, max_size=12).map(
    lambda parts: "".join(piece * count for piece, count in parts)
)


@pytest.fixture(autouse=True)
def short_first_attempts(monkeypatch):
    """Small texts suffice to be cut many times."""
    monkeypatch.setattr(bounded_encoding, "MIN_CHARACTERS", 4)
    monkeypatch.setattr(bounded_encoding, "CHARACTERS_PER_TOKEN", 2)


def tokenise_whole(tokeniser, text, limit, direction):
    """The reference: all tokens, then truncation."""
    parts = (text,) if isinstance(text, str) else text
    encoding = tokeniser._tokenizer.encode(*parts)
    return (*truncate(encoding, limit, direction), len(encoding) > limit)


def load(place, family, added=(), flags=None):
    settings = {"tokenizer_class": OWN_CLASS[family]}
    size = len(MAKERS[family]().get_vocab())
    settings["added_tokens_decoder"] = {
        str(size + i): {"content": text, **(flags or {})} for i, text in enumerate(added)
    }
    settings["model_input_names"] = ["input_ids", "token_type_ids"]
    return Tokeniser.load(write_folder(Path(place), family, settings), 512)


ROWS = {
    "family": st.sampled_from(FAMILIES),
    "texts": st.lists(st.one_of(LONG, st.tuples(LONG, LONG)), min_size=1, max_size=4),
    "limit": st.integers(7, 20),
    "direction": st.sampled_from(["left", "right"]),
    "added": st.lists(st.sampled_from(["<new>", "aa", "new York", "a,", "電影", "ab"]), max_size=2, unique=True),
    "flags": st.fixed_dictionaries(
        {}, optional={flag: st.booleans() for flag in ("lstrip", "rstrip", "single_word", "normalized")}
    ),
}
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def check_rows(family, texts, limit, direction, added, flags):
    with tempfile.TemporaryDirectory() as place:
        tokeniser = load(place, family, added, flags)
    for row, text in zip(tokeniser.encode(texts, direction, limit), texts, strict=True):
        assert (row.ids, row.type_ids, row.truncated) == tokenise_whole(tokeniser, text, limit, direction)


@settings(max_examples=50, **QUIET)
@given(**ROWS)
def test_ids_are_those_of_the_whole_text(**drawn):
    check_rows(**drawn)


@pytest.mark.slow
@settings(max_examples=3000, **QUIET)
@given(**ROWS)
def test_many_ids_are_those_of_the_whole_text(**drawn):
    check_rows(**drawn)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=LONG, limit=st.integers(5, 40), direction=st.sampled_from(["left", "right"]))
def test_the_bundled_model_too(text, limit, direction):
    tokeniser = Tokeniser.load(BUNDLED, 512)
    (row,) = tokeniser.encode([text], direction, limit)
    assert (row.ids, row.type_ids, row.truncated) == tokenise_whole(tokeniser, text, limit, direction)


MILLION = 1_000_000
HUGE = {
    "words": "a warm film ",
    "lines": "film\n",
    "tabs and ends of lines": "film\t\twarm\r\n",
    "spaces": "film" + " " * 4000,
    "blank lines": "\n" * MILLION,
    "spaces first": " " * (MILLION - 5) + "film ",
    "unknown characters": "🦄 𝔘 ",
    "long words": "x" * 3000 + " ",
    "one long word": "x" * (MILLION - 5) + " film",
    "long words of two kinds": "x" * 200_000 + "é" + "y" * 300_000 + ", ",
}


class CountingTokenizer:
    """A tokenizer that counts the characters that it gets."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.characters = 0

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)

    def encode_batch(self, texts, **options):
        self.characters += sum(map(len, texts))
        return self._tokenizer.encode_batch(texts, **options)

    encode_batch_fast = encode_batch


DIRECTED = [  # from the left one of them; make slow has all
    pytest.param(unit, direction, id=f"{name}-{direction}", marks=[] if direction == kept else pytest.mark.slow)
    for name, unit in HUGE.items()
    for direction, kept in (("right", "right"), ("left", "left" if name == "words" else "right"))
]


@pytest.mark.parametrize(("unit", "direction"), DIRECTED)
def test_a_text_of_a_million_characters_costs_no_more_than_a_short_one(unit, direction, monkeypatch):
    monkeypatch.undo()  # the first attempts of every day
    tokeniser = Tokeniser.load(BUNDLED, 512)
    counting = CountingTokenizer(tokeniser._tokenizer)
    tokeniser._encoder = bounded_encoding.BoundedEncoder(counting)
    text = (unit * (MILLION // len(unit) + 1))[:MILLION]
    (row,) = tokeniser.encode([text], direction)
    # A word of more than 100 characters is one token, so as many characters as that are needed for each token.
    # Of a long run of whitespace 32 characters stay.
    most = 512 * 400 if "xxx" in unit else 512 * 36 if "    " in unit else 5000
    assert counting.characters <= most
    whole = tokeniser._tokenizer.encode(text)
    assert (row.ids, row.truncated) == (truncate(whole, 512, direction)[0], len(whole) > 512)
