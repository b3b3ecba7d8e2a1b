"""The page's tokenizer gives Python's ids, type ids, cuts and pieces: of real texts, strange ones, all characters."""

import json
import random
import shutil
from pathlib import Path

import pytest
from browser_site import DATA, SENTENCES, real_texts
from hypothesis import given, settings
from hypothesis import strategies as st
from strange_texts import PIECES, strange

from browser import Engine
from elbert import bundled_model
from elbert.bundle import Bundle
from elbert.errors import InputError
from elbert.export.browser_tokenizer import KNOWN, read_page_tokenizer
from elbert.tokenization import Tokeniser
from tiny import train_sentencepiece

ENCODER, PIECES_OF = "tokenizer/text_encoder.js", "tokenizer/word_pieces.js"
ALBERT = DATA / "albert-spiece"


class Pair:
    """A tokenizer in Python and the page's, which has read what ``elbert export --page`` writes of it."""

    def __init__(self, folder, max_length=512):
        self.python = Tokeniser.load(folder, max_length)
        self.taggers = {}
        self.folder = folder
        self.engine = Engine(ENCODER, PIECES_OF)
        text, self.settings = read_page_tokenizer(Bundle.open(folder))
        self.engine.engine.eval(
            f"const FILE = JSON.parse({json.dumps(text)});"
            "const made = new Map();"
            "const { createEncoder } = $text_encoder;"
            "const readPieces = $word_pieces.createPieceReader(FILE);"
            "const encoder = (most) => made.get(most) ?? made.set(most, createEncoder(FILE, most)).get(most);"
        )

    def pages(self, texts, max_length):
        rows = [list(text) if isinstance(text, tuple) else [text] for text in texts]
        return self.engine(
            "(rows, most) => rows.map((texts) => { const row = encoder(most)(...texts); "
            "const pieces = texts.length > 1 ? [] : readPieces(Array.from(texts[0]), row); "
            "return [row.ids, row.typeIds, row.truncated, "
            "pieces.map(({ position, start, end, isFirst }) => [position, start, end, isFirst])]; })",
            rows,
            max_length,
        )

    def differ(self, texts, max_length=512):
        """The texts that the two see differently."""
        python = self.python if max_length == 512 else Tokeniser(self.python._tokenizer, self.settings, max_length)
        if max_length not in self.taggers:
            self.taggers[max_length] = Tokeniser.load(self.folder, max_length, per_token=True)
        wrong = []
        for start in range(0, len(texts), 500):
            some = texts[start : start + 500]
            alone = iter(self.taggers[max_length].encode([text for text in some if isinstance(text, str)]))
            pieces = [list_pieces(next(alone)) if isinstance(text, str) else [] for text in some]
            rows = python.encode(some)
            own = [[row.ids, row.type_ids, row.truncated, one] for row, one in zip(rows, pieces)]
            wrong += [text for text, a, b in zip(some, own, self.pages(some, max_length)) if a != b]
        return wrong


def list_pieces(row):
    """The place of each piece, its characters, and whether it begins a word."""
    pieces = row.pieces
    columns = (pieces.positions, pieces.starts, pieces.ends, pieces.is_first)
    return [list(piece) for piece in zip(*(column.tolist() for column in columns))]


@pytest.fixture(scope="module")
def albert_tokenizer(tmp_path_factory):
    """ALBERT's own tokenizer, where it lies beside the repository; else a small one, trained as ALBERT's is."""
    if ALBERT.is_dir():
        return ALBERT
    folder = train_sentencepiece(tmp_path_factory.mktemp("spiece"), SENTENCES, vocab_size=300)
    Tokeniser.load(folder, 512).save(folder / "hf-tokenizer")
    return folder


# The same tokenizer as spiece.model, converted by another library.
ALBERT_FILE = pytest.param("albert", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=["bundled", ALBERT_FILE, "albert with accents", "spiece.model"])
def pair(request, albert_tokenizer, tmp_path_factory):
    if request.param == "bundled":
        return Pair(bundled_model())
    folder = tmp_path_factory.mktemp("albert")
    sizes = json.loads((bundled_model() / "config.json").read_text()) | {"vocab_size": 30000}
    (folder / "config.json").write_text(json.dumps(sizes))
    if request.param == "spiece.model":
        shutil.copy(albert_tokenizer / "spiece.model", folder)
        return Pair(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(albert_tokenizer / "hf-tokenizer" / name, folder)
    if request.param == "albert with accents":  # what keep_accents leaves of it, and what transformers 4 has besides
        file = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        steps = file["normalizer"]["normalizers"]
        steps[:] = [step for step in steps if step["type"] not in ("NFKD", "StripAccents", "Lowercase")]
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
        file["pre_tokenizer"] = file["pre_tokenizer"]["pretokenizers"][1]
        (folder / "tokenizer.json").write_text(json.dumps(file), encoding="utf-8")
    return Pair(folder)


def test_real_texts(pair):
    texts = [*SENTENCES, *real_texts(40)]
    assert pair.differ(texts) == []


def test_strange_texts(pair):
    rng = random.Random(0)
    texts = ["", " ", "a", "a" * 101, "é" * 3000, "[SEP]", *PIECES, *(strange(rng) for _ in range(2000))]
    assert pair.differ(texts) == []


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=40))
def test_any_texts(pair, texts):
    assert pair.differ(texts) == []


@pytest.mark.parametrize("max_length", [5, 6, 9, 32, 33])
def test_pairs_and_cuts(pair, max_length):
    rng = random.Random(max_length)
    words = " ".join(SENTENCES).split()

    def some():
        return " ".join(rng.choices(words, k=rng.choice([0, 1, 3, 10, 40])))

    texts = [(some(), some()) if rng.random() < 0.8 else some() for _ in range(400)]
    assert pair.differ(texts, max_length) == []


def test_pairs_of_real_texts(pair):
    assert pair.differ(list(zip(real_texts(40)[::3], real_texts(40)[1::3])), 128) == []


@pytest.mark.parametrize("every", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_every_character_there_is(pair, every):
    points = [c for c in range(every - 1, 0x110000, every) if not 0xD800 <= c < 0xE000]
    words = [f"a{chr(c)}a {chr(c)}" for c in points]
    lines = [" ".join(words[start : start + 40]) for start in range(0, len(words), 40)]
    assert pair.differ(lines, 10_000) == []


@pytest.mark.data
@pytest.mark.slow
def test_ten_thousand_real_texts(pair):
    texts = real_texts(600, most=100_000)
    assert len(texts) > 10_000
    assert pair.differ(texts) == []


def test_half_a_character_is_unknown(pair):
    [[ids, _, _]] = pair.engine("() => [[encoder(512)('a \\ud800 b').ids, 0, 0]]")
    assert ids == pair.python.encode(["a \ufffd b"])[0].ids


def test_python_refuses_what_the_page_does_not_know():
    known = Engine(ENCODER, PIECES_OF)("() => ({...$text_encoder.KNOWN_PARTS, decoder: $word_pieces.KNOWN_DECODERS})")
    known["decoder"].remove("none")
    assert {kind: set(names) for kind, names in known.items()} == {
        kind: set(names) for kind, names in KNOWN.items() if kind != "post-processor"
    }


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"normalizer": {"type": "Nmt"}}, "the normalizer Nmt (known: Sequence, Replace,"),
        ({"normalizer": {"type": "Replace", "pattern": {"Regex": "a+"}, "content": ""}}, 'the pattern {"Regex":"a+"}'),
        ({"pre_tokenizer": {"type": "ByteLevel"}}, "the pre-tokenizer ByteLevel"),
        ({"pre_tokenizer": None}, "the pre-tokenizer none"),
        ({"pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first"}}, "set to first"),
        ({"model": {"type": "BPE"}}, "the model BPE"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0]], "unk_id": None}}, 'needs "unk_id"'),
        ({"model": {"type": "Unigram", "vocab": [["a", 0]], "unk_id": 0, "byte_fallback": True}}, "byte_fallback"),
        ({"post_processor": {"type": "RobertaProcessing"}}, "the post-processor RobertaProcessing"),
        ({"added_tokens": [{"id": 9, "content": "x", "normalized": True}]}, "the added token x"),
    ],
)
def test_what_the_page_does_not_know_is_refused(change, part):
    engine = Engine(ENCODER)
    file = json.loads(Path(bundled_model() / "tokenizer.json").read_text(encoding="utf-8")) | change
    message = engine(
        "(file) => { try { $text_encoder.createEncoder(file, 512); } catch (error) { return error.message; } }", file
    )
    assert part in message
    assert message.startswith("tokenizer.json: ")


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        ({"truncation_side": "left"}, {}, "truncation_side is left"),
        ({"split_special_tokens": True}, {}, "split_special_tokens"),
        ({"added_tokens_decoder": {"2204": {"content": "good", "normalized": True}}}, {}, "added token 'good'"),
        ({}, {"normalizer": {"type": "Replace", "pattern": {"Regex": "a+"}, "content": "b"}}, "normalizer Replace"),
        ({}, {"pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "never"}}, "Metaspace"),
        ({}, {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}}, "ByteLevel"),
    ],
)
def test_python_refuses_settings_that_the_page_does_not_follow(tmp_path, config, change, message):
    folder = change_bundled(tmp_path, config, change)
    with pytest.raises(InputError, match=message):
        read_page_tokenizer(Bundle.open(folder))


def test_a_page_without_type_ids_has_none(tmp_path):
    folder = change_bundled(tmp_path, {"model_input_names": ["input_ids", "attention_mask"]}, {})
    text, _ = read_page_tokenizer(Bundle.open(folder))
    row = Engine(ENCODER)("(file) => $text_encoder.createEncoder(file, 512)('a', 'b').typeIds", json.loads(text))
    assert row == [0] * 5
    assert Bundle.open(folder).load_tokeniser().encode([("a", "b")])[0].type_ids == row


def change_bundled(place, config, change):
    """The bundled model with other settings, and other parts in its tokenizer.json."""
    folder = place / "model"
    shutil.copytree(bundled_model(), folder)
    for name, values in (("tokenizer_config.json", config), ("tokenizer.json", change)):
        content = json.loads((folder / name).read_text(encoding="utf-8")) | values
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder
