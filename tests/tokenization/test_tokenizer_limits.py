"""A tokenizer from outside is bounded, and what the library cannot read is one line."""

import base64
import json

import pytest
from folders import write_folder

from elbert.errors import BundleError, InputError
from elbert.tokenization import Tokeniser

GROWS = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 60}
TEXT = [{"Sequence": {"id": "A", "type_id": 0}}]
CLS = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}]


def set_part(name, value):
    return lambda content: content.update({name: value})


def precompiled(table):
    return set_part("normalizer", {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()})


def template(single):
    special = {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}
    pair = [*CLS, *TEXT, {"Sequence": {"id": "B", "type_id": 1}}]
    return set_part(
        "post_processor", {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_part("normalizer", {"type": "Sequence", "normalizers": [GROWS] * 6}), "over 64 times as long"),
        (set_part("normalizer", {**GROWS, "content": "b" * 5000}), "5,000 characters at a time"),
        (set_part("normalizer", {**GROWS, "pattern": {"Regex": "(?=.)"}, "content": "b" * 90}), "over 64 times"),
        (set_part("normalizer", {**GROWS, "pattern": {"Regex": "("}}), "not a usable tokenizer"),
        (precompiled(bytes(3000)), "table of characters"),
        (precompiled(b"\xff\xff\xff\xff"), "table of characters"),
        (precompiled((1024).to_bytes(4, "little") + b"\xff" * 1024), "leads out of it"),
        (template([*CLS, *TEXT * 1000]), "'single' of its post-processor has each text 1000 times"),
        (template(CLS), "has each text 0 times"),
        (template([{"SpecialToken": {"id": "[CLS]", "type_id": 4_000_000_000}}, *TEXT]), "type ids over 255"),
        (set_part("model", None), "no model in it"),
        (set_part("added_tokens", [{"content": "a"}]), "added_tokens"),
    ],
)
def test_a_hostile_tokenizer_is_refused_in_one_line(tmp_path, capfd, change, message):
    write_folder(tmp_path, "bert", {"tokenizer_class": "PreTrainedTokenizerFast"}, change=change)
    with pytest.raises(BundleError, match=r"tokenizer\.json: .*" + message) as refusal:
        Tokeniser.load(tmp_path, 32)
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr().err == ""


def test_a_text_that_the_tokenizer_fails_on_is_named_and_no_other(tmp_path):
    def backtrack(content):
        content["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(a|aa)+$"}, "content": "x"}

    write_folder(tmp_path, "bert", {"tokenizer_class": "PreTrainedTokenizerFast"}, change=backtrack)
    tokeniser = Tokeniser.load(tmp_path, 32)
    bad = "a" * 60 + "!"
    first, second, third = tokeniser.encode_each(["the film", bad, "great"])
    assert isinstance(second, InputError)
    assert [first, third] == tokeniser.encode(["the film", "great"])
    with pytest.raises(InputError, match=r"text 1: the tokenizer fails on it \(PanicException"):
        tokeniser.encode(["the film", bad])


@pytest.mark.parametrize("number", [2**31, 2**32 - 1])
def test_a_token_id_that_no_model_has_is_named(tmp_path, number):
    """In the vocabulary it fails its own texts, around each text all of them."""

    def change(content):
        content["model"]["vocab"]["good"] = number

    tokeniser = Tokeniser.load(write_folder(tmp_path / "word", "bert", change=change), 16)
    for encode in (tokeniser.encode_each, tokeniser.encode_windows):
        one, other, pair = encode(["a film", "good", ("a film", "good")])
        assert not isinstance(one, InputError)
        for error in (other, pair):
            assert isinstance(error, InputError)
            assert str(error).startswith(f"the tokenizer gives the token id {number:,}, expected at most 2,147,483,647")

    def change_special(content):
        template([*CLS, *TEXT])(content)
        content["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [number]

    plain = {"tokenizer_class": "PreTrainedTokenizerFast"}  # else the class has a template of its own
    tokeniser = Tokeniser.load(write_folder(tmp_path / "special", "bert", plain, change=change_special), 16)
    with pytest.raises(InputError, match="text 0: the tokenizer gives the token id"):
        tokeniser.encode(["good"])


def test_a_panic_at_loading_names_the_file(tmp_path):
    write_folder(tmp_path, "bert", {})
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["model"]["vocab"] = {"a": -1}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"tokenizer\.json: not a usable tokenizer"):
        Tokeniser.load(tmp_path, 32)
