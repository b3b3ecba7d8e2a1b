"""The ids of every folder are those of transformers' AutoTokenizer for it."""

import tempfile
from pathlib import Path

import pytest
from folders import FAMILIES, MAKERS, OWN_CLASS, write_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elbert.tokenization import Tokeniser

LENGTH = 24
CHARACTERS = st.one_of(
    st.sampled_from(list("abcthefilmsTFGé ,.'[]  \n\t")),
    st.characters(exclude_categories=("Cs",)),
    st.sampled_from(["e\u0301", "ﬁ", "電影", "\u00a0", "\u3000", "``", "[MASK]", "<mask>", "<new>", "[CLS]", " <x> "]),
)
TEXT = st.lists(
    st.one_of(CHARACTERS, st.sampled_from(["the film", "Great", " naïve", "Film!", "aaaa", "a, "])), max_size=40
).map("".join)
TOKEN_FLAGS = st.fixed_dictionaries(
    {"content": st.sampled_from(["<new>", "<x>", "new York", "film", "ab"])},
    optional={flag: st.booleans() for flag in ("lstrip", "rstrip", "single_word", "normalized", "special")},
)


def compare(folder, texts, pairs):
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(folder)
    ours = Tokeniser.load(folder, LENGTH)
    assert ours.truncation_side == reference.truncation_side
    for text in texts:
        expected = reference(text, truncation=True, max_length=ours.max_length)
        check(ours.encode([text])[0], expected)
    for first, second in pairs:
        # transformers takes an empty second text for none.
        expected = reference([first], [second], truncation=True, max_length=ours.max_length)
        check(ours.encode([(first, second)])[0], {name: rows[0] for name, rows in expected.items()})


def check(row, expected):
    assert row.ids == expected["input_ids"]
    assert row.type_ids == expected.get("token_type_ids", [0] * len(row.ids))


@st.composite
def draw_folder(draw):
    family = draw(st.sampled_from(FAMILIES))
    fast = family == "albert" or draw(st.booleans())
    values = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "do_lower_case": st.booleans(),
                "strip_accents": st.sampled_from([True, False, None]),
                "tokenize_chinese_chars": st.booleans(),
                "keep_accents": st.booleans(),
                "add_prefix_space": st.booleans(),
                "remove_space": st.booleans(),
                "split_special_tokens": st.booleans(),
                "truncation_side": st.sampled_from(["left", "right"]),
                "padding_side": st.sampled_from(["left", "right"]),
                "model_max_length": st.sampled_from([8, 13, 512, 10**30, 1e30]),
                "model_input_names": st.sampled_from(
                    [["input_ids", "attention_mask"], ["input_ids", "token_type_ids", "attention_mask"]]
                ),
                "additional_special_tokens": st.lists(st.sampled_from(["<new>", "<x>"]), max_size=2, unique=True),
                "extra_special_tokens": st.just({"image_token": "<x>"}),
                "image_token": st.just("<new>"),
                "mask_token": st.just("<mask>" if family == "roberta" else "[MASK]"),
            },
        )
    )
    own = OWN_CLASS[family]
    classes = [None, own, own + "Fast"]
    if fast:
        classes += ["PreTrainedTokenizerFast", "TokenizersBackend", "PreTrainedTokenizer"]
    if family in ("bert", "distilbert"):
        classes += ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizerFast"]
    chosen = draw(st.sampled_from(classes))
    if chosen is not None:
        values["tokenizer_class"] = chosen
    size = len(MAKERS[family]().get_vocab())
    tokens = draw(st.lists(TOKEN_FLAGS, max_size=2, unique_by=lambda token: token["content"]))
    files = {}
    where = draw(st.sampled_from(["decoder", "legacy", "specials", "json", "none"]))
    change = None
    if where == "decoder":
        values["added_tokens_decoder"] = {str(size + i): token for i, token in enumerate(tokens)}
    elif where == "legacy":
        files["added_tokens"] = {token["content"]: size + i for i, token in enumerate(tokens)}
        files["special_tokens_map"] = {"additional_special_tokens": ["<new>"]}
    elif where == "specials":
        files["special_tokens_map"] = {
            "mask_token": {
                "content": "<mask>" if family == "roberta" else "[MASK]",
                "lstrip": True,
                "normalized": False,
            }
        }
    elif where == "json" and fast:
        plain = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized", "special"), False)
        added = [{"id": size + i, **plain, **token} for i, token in enumerate(tokens)]

        def change(content):
            content["added_tokens"] += added
            if draw_left:
                content["truncation"] = {"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 0}

        draw_left = draw(st.booleans())
    return family, fast, values, change, files


FOLDERS = {
    "folder": draw_folder(),
    "texts": st.lists(TEXT, min_size=3, max_size=6),
    "pairs": st.lists(st.tuples(TEXT, TEXT), max_size=4),
}
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def check_folder(folder, texts, pairs):
    family, fast, values, change, files = folder
    with tempfile.TemporaryDirectory() as place:
        path = write_folder(Path(place), family, values, fast=fast, change=change, **files)
        compare(path, texts, pairs)


@settings(max_examples=40, **QUIET)
@given(**FOLDERS)
def test_any_folder(**drawn):
    check_folder(**drawn)


@pytest.mark.slow
@settings(max_examples=2000, **QUIET)
@given(**FOLDERS)
def test_many_folders(**drawn):
    check_folder(**drawn)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", [{"extra_special_tokens": {"image_token": "<x>"}}, {"image_token": "<x>"}, {}])
def test_an_added_token_that_the_model_names_is_special(family, role):
    """So it is split as text where split_special_tokens is true."""
    size = len(MAKERS[family]().get_vocab())
    values = {"split_special_tokens": True, "added_tokens_decoder": {str(size): {"content": "<x>"}}} | role
    check_folder((family, family == "albert", values, None, {}), ["a <x> film", "<x>"], [("film", " <x> ")])
