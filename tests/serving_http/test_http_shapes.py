"""Parsers of each shape: their results, and that any JSON is parsed or rejected."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elbert.errors import BundleError, InputError, PolicyError
from elbert.serving.errors import BackendFailure, NotReady, Overloaded, TooLong
from elbert.serving.http.body import ParsedRequest
from elbert.serving.http.errors import MAX_MESSAGE, STATUS, ApiError, one_line, to_api_error
from elbert.serving.http.headers import quote_header
from elbert.serving.http.schemas import classify, hugging_face, open_inference, tei
from elbert.serving.http.schemas.tei import apply_activation, rank_labels

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
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


def to_json(body):
    return json.dumps(body).encode()


def parse(shape, body, max_texts):
    """The request that a body of a shape's module is parsed to."""
    parsed = shape.parse_request(to_json(body), max_texts)
    return parsed[0] if shape is open_inference else parsed


bodies = json_values | st.dictionaries(fields, json_values | st.lists(tensors, max_size=3), max_size=5)


@pytest.mark.parametrize("shape", [tei, hugging_face, classify, open_inference])
@given(body=bodies)
def test_a_body_is_parsed_or_rejected(shape, body):
    try:
        found = parse(shape, body, 3)
    except ApiError as error:
        assert error.status in (400, 422)
        return
    assert 1 <= len(found.texts) <= 3
    assert all(isinstance(part, str) for text in found.texts for part in (text if isinstance(text, tuple) else (text,)))
    assert found.top_k is None or found.top_k >= 1
    assert found.deadline_ms is None or found.deadline_ms > 0


@given(body=bodies)
def test_outputs_and_ids_are_parsed_or_rejected(body):
    if not isinstance(body, dict):
        return
    try:
        _, request = open_inference.parse_request(to_json({**body, "inputs": [tensor(["a"])]}), 3)
    except ApiError as error:
        assert error.status in (400, 422)
        return
    assert {output.name for output in request.outputs or ()} <= set(open_inference.OUTPUTS)
    assert isinstance(request.id, str | None)


@given(body=bodies)
def test_the_shape_with_parameters_is_recognised(body):
    expected = isinstance(body, dict) and isinstance(body.get("parameters"), dict)
    assert hugging_face.has_parameters(to_json(body)) == expected


def test_classify():
    body = {
        "inputs": ["a", {"text": "b"}, {"text": "c", "text_pair": "d"}, {"text": "e", "text_pair": None}],
        "policy": "fast",
        "deadline_ms": 5,
        "top_k": 1,
        "trace": True,
    }
    assert parse(classify, body, 9) == ParsedRequest(
        ["a", "b", ("c", "d"), "e"], policy="fast", deadline_ms=5.0, top_k=1, trace=True
    )
    assert parse(classify, {"inputs": ["a"], "policy": None, "top_k": None, "trace": None}, 9) == ParsedRequest(["a"])


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
    ],
)
def test_classify_rejects(change):
    with pytest.raises(ApiError) as raised:
        parse(classify, {"inputs": ["a"]} | change, 9)
    assert raised.value.status == 422


def test_a_field_name_that_is_no_text_is_not_json():
    with pytest.raises(ApiError) as raised:
        parse(classify, {"inputs": ["a"], "\ud800": 1}, 9)
    assert raised.value.status == 400


def tensor(data, shape=None, name="text", datatype="BYTES"):
    return {"name": name, "shape": [len(data)] if shape is None else shape, "datatype": datatype, "data": data}


def test_open_inference():
    assert parse(open_inference, {"inputs": [tensor(["a", "b"])]}, 9) == ParsedRequest(["a", "b"])
    assert parse(open_inference, {"inputs": [tensor([["a"], ["b"]], [2, 1])]}, 9) == ParsedRequest(["a", "b"])
    pairs = {"inputs": [tensor(["c"], name="text_pair"), tensor(["a"])], "parameters": {"policy": "fast"}}
    assert parse(open_inference, pairs, 9) == ParsedRequest([("a", "c")], policy="fast")


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
def test_open_inference_rejects(inputs):
    with pytest.raises(ApiError) as raised:
        parse(open_inference, {"inputs": inputs}, 9)
    assert raised.value.status == 422


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
        (ApiError("Empty", "x"), 400, "Empty"),
    ],
)
def test_errors_have_their_status(error, status, kind):
    found = to_api_error(error)
    assert (found.status, found.kind) == (status, kind)
    assert found.headers == ({"retry-after": "3"} if status == 429 else {})


@given(st.text())
def test_a_message_is_one_line_that_can_be_sent(message):
    line = one_line(message)
    line.encode()
    assert len(line) <= MAX_MESSAGE
    assert line.isprintable()
    assert ApiError("Internal", message).to_response().status_code == STATUS["Internal"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_header_cannot_be_ended(text):
    from urllib.parse import unquote

    quoted = quote_header(text)
    assert quoted.isascii()
    assert quoted.isprintable()
    assert unquote(quoted) == text


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=5))
def test_functions_of_logits(values):
    logits = dict(enumerate(values))
    soft, single = apply_activation("softmax", logits), apply_activation("sigmoid", logits)
    assert math.isclose(sum(soft.values()), 1.0)
    for label, logit in logits.items():
        slow = 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
        assert single[label] == pytest.approx(slow, abs=1e-12)
    assert apply_activation("none", logits) == logits
    scores = [entry.score for entry in rank_labels(soft)]
    assert scores == sorted(scores, reverse=True)
    assert len(rank_labels(soft, 2)) == min(2, len(values))
