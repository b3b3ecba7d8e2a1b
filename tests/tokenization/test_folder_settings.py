"""Settings that cannot be followed are refused by file and name; the others are followed, also in the saved folder."""

import json
import re

import pytest
from folders import FAMILIES, MAKERS, OWN_CLASS, write_folder

from elbert.errors import BundleError
from elbert.tokenization import Tokeniser

NO_FILES = ("albert", False)  # spiece.model, which transformers 5 reads differently
TEXTS = ["The Film is great, naïve 電影", "film " * 60 + "Great", "<new> [MASK] film", "``the'' film"]
PAIRS = [("the film", "great"), ("film " * 40, "the " * 50), ("a", "film " * 50)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("truncation_side", "Left"),
        ("truncation_side", None),
        ("padding_side", "middle"),
        ("do_lower_case", "false"),
        ("do_lower_case", 1),
        ("strip_accents", "no"),
        ("tokenize_chinese_chars", None),
        ("keep_accents", 0),
        ("add_prefix_space", "true"),
        ("split_special_tokens", 3),
        ("model_input_names", "input_ids"),
        ("model_input_names", ["attention_mask"]),
        ("added_tokens_decoder", ["<new>"]),
        ("added_tokens_decoder", {"many": {"content": "<new>"}}),
        ("added_tokens_decoder", {"7": 3}),
        ("extra_special_tokens", [7]),
        ("vocab", {"a": 0}),
        ("init_inputs", ["vocab.txt"]),
        ("model_max_length", "512"),
        ("model_max_length", -1),
        ("model_max_length", 0),
        ("model_max_length", 12.5),
        ("model_max_length", True),
        ("max_len", "many"),
        ("fast_tokenizer_files", ["tokenizer.4.0.json", "tokenizer.json"]),
    ],
)
def test_a_setting_that_cannot_be_followed_is_named(tmp_path, name, value):
    write_folder(tmp_path, "bert", {name: value})
    with pytest.raises(BundleError, match=re.escape(str(tmp_path))) as caught:
        Tokeniser.load(tmp_path, 32)
    assert "tokenizer_config.json" in str(caught.value)
    assert {"max_len": "model_max_length"}.get(name, name) in str(caught.value)


@pytest.mark.parametrize(("value", "limit"), [(13, 13), (13.0, 13), (10**30, 32), (1e30, 32), (None, 32), (64, 32)])
def test_the_length_of_the_settings(tmp_path, value, limit):
    write_folder(tmp_path, "bert", {"model_max_length": value})
    assert Tokeniser.load(tmp_path, 32).max_length == limit


def test_an_older_file_that_cannot_be_followed_is_named(tmp_path):
    write_folder(tmp_path, "bert", {}, added_tokens={"<new>": "20"})
    with pytest.raises(BundleError, match=r"added_tokens\.json.*<new>"):
        Tokeniser.load(tmp_path, 32)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_missing_vocabulary_is_named(tmp_path, family):
    write_folder(tmp_path, family, fast=False)
    (tmp_path / {"bert": "vocab.txt", "roberta": "merges.txt"}[family]).unlink()
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(BundleError, match=r"vocab\.txt|merges\.txt"):
        Tokeniser.load(tmp_path, 32)


@pytest.mark.parametrize(
    ("family", "fast"), [(family, fast) for family in FAMILIES for fast in (True, False) if (family, fast) != NO_FILES]
)
def test_a_saved_folder_has_the_same_settings(tmp_path, family, fast):
    from transformers import AutoTokenizer

    size = len(MAKERS[family]().get_vocab())
    settings = {
        "tokenizer_class": OWN_CLASS[family],
        "do_lower_case": False,
        "truncation_side": "left",
        "padding_side": "left",
        "model_max_length": 16,
        "split_special_tokens": True,
        "model_input_names": ["input_ids", "attention_mask"],
        "added_tokens_decoder": {str(size): {"content": "<new>", "lstrip": True, "special": False}},
    }
    loaded = Tokeniser.load(write_folder(tmp_path / "a", family, settings, fast=fast), 64)
    loaded.save(tmp_path / "b")
    again = Tokeniser.load(tmp_path / "b", 64)
    assert again.encode([*TEXTS, *PAIRS]) == loaded.encode([*TEXTS, *PAIRS])
    assert (again.truncation_side, again.max_length) == ("left", 16)
    reference = AutoTokenizer.from_pretrained(tmp_path / "b")
    assert reference(TEXTS, truncation=True)["input_ids"] == [row.ids for row in loaded.encode(TEXTS)]
    assert reference.padding_side == "left"
    saved = json.loads((tmp_path / "b" / "tokenizer_config.json").read_text())
    assert saved["model_input_names"] == settings["model_input_names"]


def test_a_pair_has_no_type_ids_where_the_settings_name_none(tmp_path):
    names = ["input_ids", "attention_mask"]
    (row,) = Tokeniser.load(write_folder(tmp_path, "bert", {"model_input_names": names}), 32).encode([("the", "film")])
    assert row.type_ids == [0] * 5


def test_spiece_model_follows_the_settings(tiny_folder, tmp_path):
    (tmp_path / "spiece.model").write_bytes((tiny_folder / "spiece.model").read_bytes())
    plain = Tokeniser.load(tiny_folder, 32)
    config = {"truncation_side": "left", "add_prefix_space": False, "model_input_names": ["input_ids"]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<new>": plain.vocab_size}))
    changed = Tokeniser.load(tmp_path, 32)
    assert changed.encode(["bad " * 50 + "film"])[0].ids[-2] == changed.encode(["film"])[0].ids[-2]
    assert changed.encode(["film"]) != plain.encode(["film"])
    assert plain.vocab_size in changed.encode(["the <new> film"])[0].ids
    assert set(changed.encode([("the", "film")])[0].type_ids) == {0}
    (tmp_path / "tokenizer_config.json").write_text('{"add_bos_token": true}')
    with pytest.raises(BundleError, match=r"tokenizer_config\.json: add_bos_token"):
        Tokeniser.load(tmp_path, 32)


def test_a_slow_folder_needs_no_transformers(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    for family in ("bert", "distilbert", "roberta"):
        assert Tokeniser.load(write_folder(tmp_path / family, family, fast=False), 32).encode(["the film"])
