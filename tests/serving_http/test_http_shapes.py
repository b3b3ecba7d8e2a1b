"""Shapes as plain functions: what they read, and that whatever JSON may hold is read or refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elbert.errors import BundleError, InputError, PolicyError
from elbert.serving.errors import BackendFailure, NotReady, Overloaded, TooLong
from elbert.serving.http import hugging_face, ours, tei, v2
from elbert.serving.http.errors import LONGEST, STATUS, Refusal, one_line, refusal
from elbert.serving.http.given import PER_TOKEN, Wanted
from elbert.serving.http.headers import header_text
from elbert.serving.http.scoring import applied, ranked
from elbert.serving.http.taking import characters, cut

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    ["inputs", "parameters", "policy", "deadline_ms", "top_k", "trace", "truncate", "raw_scores", "id", "outputs"]
)
tensors = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("name", "shape", "datatype", "data"), json_values)
) | st.fixed_dictionaries(
    {
        "name": st.sampled_from(["text", "text_pair"]),
        "shape": st.lists(st.integers(0, 3), max_size=2),
        "datatype": st.just("BYTES"),
        "data": st.lists(st.text(max_size=3) | st.lists(st.text(max_size=3), max_size=2), max_size=3),
    }
)
bodies = json_values | st.dictionaries(fields, json_values | st.lists(tensors, max_size=3), max_size=5)


@pytest.mark.parametrize("wanted", [tei.wanted, hugging_face.wanted, ours.wanted, v2.wanted])
@given(body=bodies)
def test_a_body_is_read_or_refused(wanted, body):
    if wanted is hugging_face.wanted and not hugging_face.is_one(body):
        return
    try:
        found = wanted(body, 3)
    except Refusal as error:
        assert error.status in (400, 422)
        return
    assert 1 <= len(found.texts) <= 3
    assert all(isinstance(part, str) for text in found.texts for part in (text if isinstance(text, tuple) else (text,)))
    assert found.top_k is None or found.top_k >= 1
    assert found.deadline_ms is None or found.deadline_ms > 0


@given(body=bodies)
def test_outputs_and_identities_are_read_or_refused(body):
    if not isinstance(body, dict):
        return
    try:
        assert set(v2.chosen_outputs(body)) <= set(v2.OUTPUTS)
        assert isinstance(v2.identity_of(body), str | None)
    except Refusal as error:
        assert error.status == 422


def test_ours():
    body = {
        "inputs": ["a", {"text": "b"}, {"text": "c", "text_pair": "d"}, {"text": "e", "text_pair": None}],
        "policy": "fast",
        "deadline_ms": 5,
        "top_k": 1,
        "trace": True,
    }
    assert ours.wanted(body, 9) == Wanted(
        ["a", "b", ("c", "d"), "e"], policy="fast", deadline_ms=5.0, top_k=1, trace=True
    )
    assert ours.wanted({"inputs": ["a"], "policy": None, "top_k": None, "trace": None}, 9) == Wanted(["a"])


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": "a"},
        {"inputs": []},
        {"inputs": ["a"] * 10},
        {"inputs": [["a", "b"]]},
        {"inputs": [{"text": "a", "pair": "b"}]},
        {"inputs": [{"text_pair": "b"}]},
        {"policy": 3},
        {"policy": "p" * 501},
        {"deadline_ms": 0},
        {"deadline_ms": True},
        {"deadline_ms": "5"},
        {"top_k": 0},
        {"top_k": 1.5},
        {"trace": "yes"},
        {"polcy": "fast"},
        {"\ud800": 1},
    ],
)
def test_ours_refuses(change):
    with pytest.raises(Refusal) as told:
        ours.wanted({"inputs": ["a"]} | change, 9)
    assert told.value.status == 422


def tensor(data, shape=None, name="text", datatype="BYTES"):
    return {"name": name, "shape": [len(data)] if shape is None else shape, "datatype": datatype, "data": data}


def test_v2():
    assert v2.wanted({"inputs": [tensor(["a", "b"])]}, 9) == Wanted(["a", "b"])
    assert v2.wanted({"inputs": [tensor([["a"], ["b"]], [2, 1])]}, 9) == Wanted(["a", "b"])
    pairs = {"inputs": [tensor(["c"], name="text_pair"), tensor(["a"])], "parameters": {"policy": "fast"}}
    assert v2.wanted(pairs, 9) == Wanted([("a", "c")], policy="fast")


@pytest.mark.parametrize(
    "inputs",
    [
        "a",
        [],
        ["a"],
        [tensor(["a"], [2])],
        [tensor(["a"], [1, 2])],
        [tensor(["a"], ["1"])],
        [tensor([1])],
        [tensor("a", [1])],
        [tensor([])],
        [tensor(["a"], datatype="FP32")],
        [tensor(["a"], name="x")],
        [tensor(["a"], name="text_pair")],
        [tensor(["a"]), tensor(["a"])],
        [tensor(["a"]), tensor(["a", "b"], name="text_pair")],
        [tensor(["a"])] * 5,
    ],
)
def test_v2_refuses(inputs):
    with pytest.raises(Refusal) as told:
        v2.wanted({"inputs": inputs}, 9)
    assert told.value.status == 422


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InputError("x"), 422, "Validation"),
        (TooLong("x"), 422, "Validation"),
        (PolicyError("x"), 422, "Validation"),
        (BundleError("x"), 422, "Validation"),
        (BackendFailure("x"), 424, "Backend"),
        (NotReady("x"), 503, "Unhealthy"),
        (Overloaded("x", 2.1), 429, "Overloaded"),
        (Refusal("Empty", "x"), 400, "Empty"),
    ],
)
def test_errors_have_their_status(error, status, kind):
    found = refusal(error)
    assert (found.status, found.kind) == (status, kind)
    assert found.headers == ({"retry-after": "3"} if status == 429 else {})


@given(st.text())
def test_a_message_is_one_line_that_can_be_sent(message):
    line = one_line(message)
    line.encode()
    assert len(line) <= LONGEST
    assert line.isprintable()
    assert Refusal("Internal", message).response().status_code == STATUS["Internal"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_header_cannot_be_ended(text):
    from urllib.parse import unquote

    told = header_text(text)
    assert told.isascii()
    assert told.isprintable()
    assert unquote(told) == text


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=5))
def test_functions_of_logits(values):
    logits = dict(enumerate(values))
    soft, single = applied("softmax", logits), applied("sigmoid", logits)
    assert math.isclose(sum(soft.values()), 1.0)
    for label, logit in logits.items():
        slow = 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
        assert single[label] == pytest.approx(slow, abs=1e-12)
    assert applied("none", logits) == logits
    scores = [entry["score"] for entry in ranked(soft)]
    assert scores == sorted(scores, reverse=True)
    assert len(ranked(soft, 2)) == min(2, len(values))


def test_texts_are_cut_before_they_are_tokenised():
    most = PER_TOKEN * 2
    text = "a" * most + "b"
    assert cut([text, "c"], 2, "right", truncate=True) == ["a" * most, "c"]
    assert cut([text], 2, "left", truncate=True) == ["a" * (most - 1) + "b"]
    assert characters(cut([(text, text)], 2, "left", truncate=True)[0]) == 2 * most
    short = ["x" * most]
    assert cut(short, 2, "right", truncate=False) is short
    with pytest.raises(Refusal, match="501 characters"):
        cut([text], 2, "right", truncate=False)
