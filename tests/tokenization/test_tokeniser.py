import json
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from elbert.errors import BundleError, InputError
from elbert.tokenization import Tokeniser, Tokens

TEXTS = ["the film is a fine thing", "", "so bad, (12, of them)", "Café — ``naive''", "zzz qqq"]
PAIRS = [("the film", "is a thing"), ("", "fine"), ("bad", "")]
VOCAB_TXT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "fine", "film", "##s"]


def rows(tokens):
    return [(row.ids, row.type_ids) for row in tokens]


def test_texts_and_pairs_in_one_call_keep_their_order(tiny):
    mixed = [entry for couple in zip(TEXTS, PAIRS, strict=False) for entry in couple]
    assert tiny.encode(mixed) == [tiny.encode([entry])[0] for entry in mixed]


def test_empty_text_and_empty_call(tiny):
    assert tiny.encode([""]) == [Tokens([2, 3], [0, 0], truncated=False)]
    assert tiny.encode([]) == []


def test_the_second_text_has_type_1(tiny):
    (first,), (second,) = tiny.encode(["the film"]), tiny.encode(["bad"])
    (pair,) = tiny.encode([("the film", "bad")])
    assert pair.ids == first.ids + second.ids[1:]
    assert pair.type_ids == [0] * len(first.ids) + [1] * (len(second.ids) - 1)


def test_a_long_text_is_cut_and_marked_truncated(tiny):
    (row,) = tiny.encode(["film " * 500])
    assert (len(row.ids), row.ids[0], row.ids[-1], row.truncated) == (64, 2, 3, True)
    assert not tiny.encode(["film"])[0].truncated


@settings(max_examples=200, deadline=None)
@given(first=st.integers(0, 30), second=st.one_of(st.none(), st.integers(0, 30)), max_length=st.integers(5, 40))
def test_cuts_as_tokenizers_does(tiny, first, second, max_length):
    text, pair = "film " * first, None if second is None else "bad the " * second
    reference = Tokenizer.from_str(tiny._tokenizer.to_str())
    reference.enable_truncation(max_length, strategy="longest_first")
    expected = reference.encode(text, pair)
    (row,) = Tokeniser(tiny._tokenizer, {}, max_length).encode([text if pair is None else (text, pair)])
    assert (row.ids, row.type_ids, row.truncated) == (expected.ids, expected.type_ids, bool(expected.overflowing))


def test_a_very_long_pair_takes_no_quadratic_time(tiny):
    text = "good film " * 20_000
    start = time.perf_counter()
    (row,) = tiny.encode([(text, text)])
    assert len(row.ids) == 64 and row.truncated
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize(
    ("entry", "message"),
    [("\ud800", "surrogate"), (("fine", "\udfff"), "surrogate"), (3, "string"), (None, "string"), (("a",), "string")],
)
def test_what_is_not_a_text_is_reported_with_its_position(tiny, entry, message):
    with pytest.raises(InputError, match=f"text 1: .*{message}"):
        tiny.encode(["fine", entry])


def test_characters_beyond_the_vocabulary_are_unknown(tiny):
    (row,) = tiny.encode(["\x00 😀 電影"])
    assert 1 in row.ids


@pytest.mark.parametrize("model_type", [None, "albert"])
def test_saved_folder_reads_the_same_here_and_in_transformers(tiny, tmp_path, model_type):
    from transformers import AutoTokenizer

    tiny.save(tmp_path)
    if model_type is not None:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(TEXTS)["input_ids"] == [row.ids for row in tiny.encode(TEXTS)]
    pairs = loaded([first for first, _ in PAIRS], [second for _, second in PAIRS])
    assert list(zip(pairs["input_ids"], pairs["token_type_ids"], strict=True)) == rows(tiny.encode(PAIRS))
    assert loaded(["film " * 200], truncation=True)["input_ids"] == [tiny.encode(["film " * 200])[0].ids]
    assert (loaded.pad_token_id, loaded.cls_token, loaded.sep_token) == (tiny.pad_id, "[CLS]", "[SEP]")
    again = Tokeniser.load(tmp_path, 64)
    assert again.encode(TEXTS + PAIRS) == tiny.encode(TEXTS + PAIRS)
    assert again._tokenizer.to_str() == tiny._tokenizer.to_str()
    assert (tmp_path / "spiece.model").is_file()


def test_saves_over_itself_and_without_its_source(tiny, tmp_path):
    tiny.save(tmp_path / "a")
    loaded = Tokeniser.load(tmp_path / "a", 64)
    loaded.save(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    loaded.save(tmp_path / "c")
    assert Tokeniser.load(tmp_path / "c", 64).encode(TEXTS) == tiny.encode(TEXTS)


@pytest.mark.data
def test_the_repaired_form_saves_as_itself(albert_folder, tmp_path):
    from transformers import AutoTokenizer

    loaded = Tokeniser.load(albert_folder / "hf-tokenizer", 512)
    loaded.save(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)(TEXTS)["input_ids"] == [row.ids for row in loaded.encode(TEXTS)]
    assert (loaded.vocab_size, loaded.pad_id, loaded.max_length) == (30_000, 0, 512)


def test_settings_in_tokenizer_json_do_not_leak(tiny, tmp_path):
    tiny.save(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.enable_padding(length=20)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert Tokeniser.load(tmp_path, 64).encode(TEXTS) == tiny.encode(TEXTS)


@pytest.mark.parametrize(("model_max_length", "length"), [(16, 16), (10**30, 64), (None, 64), (512, 64)])
def test_the_smaller_length_applies(tiny, tmp_path, model_max_length, length):
    tiny.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": model_max_length}))
    assert Tokeniser.load(tmp_path, 64).max_length == length


@pytest.mark.parametrize("value", ["many", True])
def test_a_length_that_is_no_number_is_refused(tiny, tmp_path, value):
    tiny.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": value}))
    with pytest.raises(BundleError, match="model_max_length in tokenizer_config.json is .*, expected a whole number"):
        Tokeniser.load(tmp_path, 64)


def test_a_length_too_short_for_text_is_rejected(tiny_folder):
    with pytest.raises(InputError, match="at least 5"):
        Tokeniser.load(tiny_folder, 4)


@pytest.mark.parametrize("template", [None, "$A <end>"])
def test_a_tokenizer_without_cls_is_rejected(tmp_path, template):
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "<end>": 2}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if template is not None:
        tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("<end>", 2)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(BundleError, match=r"no \[CLS\]"):
        Tokeniser.load(tmp_path, 64)


def test_transformers_reads_vocab_txt(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCAB_TXT))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    loaded = Tokeniser.load(tmp_path, 64)
    assert rows(loaded.encode(["a fine films"])) == [([2, 5, 6, 7, 8, 3], [0] * 6)]
    loaded.save(tmp_path / "saved")
    assert Tokeniser.load(tmp_path / "saved", 64).encode(["a fine films"]) == loaded.encode(["a fine films"])


def test_a_class_without_vocabulary_is_rejected(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCAB_TXT))
    (tmp_path / "config.json").write_text('{"model_type": "albert"}')
    with pytest.raises(BundleError, match="found no vocabulary"):
        Tokeniser.load(tmp_path, 64)


def test_the_error_of_an_empty_folder_lists_the_expected_files(tmp_path):
    with pytest.raises(BundleError, match=r"tokenizer\.json, spiece\.model, vocab\.txt"):
        Tokeniser.load(tmp_path, 64)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_a_broken_file_is_named(tiny, tmp_path, name, content):
    tiny.save(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BundleError, match=name):
        Tokeniser.load(tmp_path, 64)


def test_importing_the_tokenizer_imports_nothing_heavy():
    heavy = "{'torch', 'transformers', 'pyarrow', 'sentencepiece'}"
    check = f"import sys, elbert.tokenization.tokenizer as t; assert t; print(sorted({heavy} & set(sys.modules)))"
    bare = "import importlib.util, sys, types; p = types.ModuleType('elbert'); "
    bare += (
        "p.__path__ = list(importlib.util.find_spec('elbert').submodule_search_locations); sys.modules['elbert'] = p; "
    )
    done = subprocess.run([sys.executable, "-c", bare + check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
