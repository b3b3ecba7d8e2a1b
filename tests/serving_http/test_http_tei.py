"""``/predict`` as text-embeddings-inference has it: its table of inputs and statuses, row by row."""

import json
import math

import pytest
from live_server import Held, Live, held_classifier, softmax, tiny_classifier

from elbert.classifier import Classifier
from elbert.serving.http import HttpSettings
from tiny import texts

FLAT = ["a good film", ["a good film"], ["a good film", "it was dull"]]
NESTED = [
    [["a good film"], ["it was dull"]],
    [["a good film", "it was dull"], ["the plot"]],
    [["a good film"]],
]
REJECTED = [
    ["a", "b", "c"],
    [],
    [[]],
    [["a", "b", "c"]],
    [["a"], "b"],
    ["a", ["b"]],
    ["a", 1],
    [["a"], [1]],
    [None],
    1,
    1.5,
    True,
    None,
    {},
    {"text": "a"},
    [{"text": "a"}],
]
HEADERS = ["compute-time", "compute-tokens", "compute-characters", "total-time", "tokenization-time", "queue-time"]


def ranked(prediction):
    best = sorted(prediction.scores.items(), key=lambda score: -score[1])
    return [{"score": pytest.approx(score, abs=1e-5), "label": label} for label, score in best]


@pytest.mark.parametrize("inputs", FLAT, ids=json.dumps)
def test_one_text_or_one_pair_is_answered_flat(live, inputs):
    status, _, answer = live.post("/predict", {"inputs": inputs})
    text = inputs if isinstance(inputs, str) else inputs[0] if len(inputs) == 1 else tuple(inputs)
    assert (status, answer) == (200, ranked(tiny_classifier().predict([text])[0]))


@pytest.mark.parametrize("inputs", NESTED, ids=json.dumps)
def test_a_batch_is_answered_nested_and_in_order(live, inputs):
    status, _, answer = live.post("/predict", {"inputs": inputs})
    expected_texts = [entry[0] if len(entry) == 1 else tuple(entry) for entry in inputs]
    assert (status, answer) == (200, [ranked(p) for p in tiny_classifier().predict(expected_texts)])


@pytest.mark.parametrize("inputs", REJECTED, ids=json.dumps)
def test_other_inputs_are_rejected(live, inputs):
    status, _, answer = live.post("/predict", {"inputs": inputs})
    assert (status, answer["error_type"], sorted(answer)) == (422, "Validation", ["error", "error_type"])


def test_inputs_are_required_and_unknown_fields_ignored(live):
    assert live.post("/predict", {"input": "a"})[0] == 422
    assert live.post("/predict", [])[0] == 422
    assert live.post("/predict", {"inputs": "a", "prompt_name": "x", "policy": 3})[0] == 200


@pytest.mark.parametrize("route", ["/predict", "/", "/invocations"])
@pytest.mark.parametrize("inputs", ["", [""], ["", ""], [["a"], [""]], [["", ""]]], ids=json.dumps)
def test_a_text_of_no_characters_is_empty(live, route, inputs):
    status, _, answer = live.post(route, {"inputs": inputs})
    assert (status, answer) == (400, {"error": "`inputs` cannot be empty", "error_type": "Empty"})


def test_a_pair_with_one_empty_text_is_none(live):
    assert live.post("/predict", {"inputs": ["a", ""]})[0] == 200
    assert live.post("/predict", {"inputs": [["", "a"]]})[0] == 200


@pytest.mark.parametrize("route", ["/", "/invocations"])
def test_other_routes_without_parameters_answer_the_same(live, route):
    for inputs in (*FLAT, *NESTED):
        status, _, answer = live.post(route, {"inputs": inputs})
        same = live.post("/predict", {"inputs": inputs})[2]
        assert status == 200
        assert [len(answer), json.dumps(answer)[:3]] == [len(same), json.dumps(same)[:3]]


@pytest.mark.parametrize("value", ["yes", 1, [], {}])
def test_flags_are_true_or_false(live, value):
    assert live.post("/predict", {"inputs": "a", "truncate": value})[0] == 422
    assert live.post("/predict", {"inputs": "a", "raw_scores": value})[0] == 422
    assert live.post("/predict", {"inputs": "a", "truncation_direction": value})[0] == 422


def test_null_is_the_default_where_it_is_accepted(live):
    assert live.post("/predict", {"inputs": "a", "truncate": None})[0] == 200
    assert live.post("/predict", {"inputs": "a", "raw_scores": None})[0] == 422


@pytest.mark.parametrize("direction", ["left", "right", "Left", "Right"])
def test_either_end_can_be_cut(live, direction):
    begin, end = "one two three ", "love hate journey"
    long = begin + "good " * 100 + end
    status, heads, answer = live.post("/predict", {"inputs": long, "truncate": True, "truncation_direction": direction})
    assert (status, heads["x-compute-tokens"]) == (200, "64")
    kept = " ".join(long.split()[:62] if direction.lower() == "right" else long.split()[-62:])
    assert answer == ranked(tiny_classifier().predict([kept])[0])


def test_too_long_is_rejected_without_truncation(live):
    status, _, answer = live.post("/predict", {"inputs": [["a"], ["good " * 100]], "truncate": False})
    assert (status, answer["error_type"]) == (422, "Validation")
    assert "64 tokens" in answer["error"]
    assert live.post("/predict", {"inputs": "good " * 100, "truncate": None})[0] == 200
    with Live(http=HttpSettings(auto_truncate=False)) as strict:
        assert strict.post("/predict", {"inputs": "good " * 100})[0] == 422
        assert strict.post("/predict", {"inputs": "good " * 100, "truncate": True})[0] == 200
        assert strict.post("/predict", {"inputs": "x " * 20_000})[0] == 422
        assert strict.post("/predict", {"inputs": " " * 20_000 + "x" * 20_000})[0] == 200  # one token


def test_the_batch_is_bounded(live):
    assert live.post("/predict", {"inputs": [["a"]] * 32})[0] == 200
    status, _, answer = live.post("/predict", {"inputs": [["a"]] * 33})
    assert (status, answer["error_type"]) == (422, "Validation")


def test_headers_have_the_times(live):
    _, heads, _ = live.post("/predict", {"inputs": [["a good film", "dull"], ["é"]]})
    assert all(heads[f"x-{name}"].isdigit() for name in [*HEADERS, "inference-time"])
    assert (heads["x-compute-characters"], heads["x-compute-tokens"]) == ("16", "10")
    assert heads["x-elbert-operating-point"] == "safe"
    assert heads["content-type"] == "application/json"


def test_raw_scores_are_logits(live):
    answer = live.post("/predict", {"inputs": "a good film", "raw_scores": True})[2]
    logits = [entry["score"] for entry in answer]
    usual = live.post("/predict", {"inputs": "a good film"})[2]
    assert [e["label"] for e in answer] == [e["label"] for e in usual]
    assert softmax(logits) == pytest.approx([e["score"] for e in usual], abs=1e-5)
    assert not math.isclose(sum(logits), 1.0)


def test_one_label_is_a_sigmoid():
    with Live(held_classifier(points=None, labels=("value",), num_labels=1)) as one:
        raw = one.post("/predict", {"inputs": "a good film", "raw_scores": True})[2][0]["score"]
        [usual] = one.post("/predict", {"inputs": "a good film"})[2]
        assert usual == {"score": pytest.approx(1 / (1 + math.exp(-raw)), abs=1e-6), "label": "value"}
        assert b"<title>elbert explorer</title>" in one.get("/")[2], "values are explored too"


def test_several_labels_of_their_own_are_sigmoids():
    names = ("a", "b", "c")
    with Live(held_classifier(labels=names, problem_type="multi_label_classification")) as many:
        raw = {e["label"]: e["score"] for e in many.post("/predict", {"inputs": "good", "raw_scores": True})[2]}
        usual = {e["label"]: e["score"] for e in many.post("/predict", {"inputs": "good"})[2]}
        assert usual == pytest.approx({label: 1 / (1 + math.exp(-logit)) for label, logit in raw.items()}, abs=1e-5)


def test_answers_are_the_classifiers():
    sentences = [text for text in texts(24, seed=4) if text]
    sound = tiny_classifier()
    with Live(Classifier(sound.bundle, sound.tokeniser, Held(sound.backend), sound.policy, threads=1)) as server:
        answer = server.post("/predict", {"inputs": [[text] for text in sentences]})[2]
        assert answer == [ranked(prediction) for prediction in sound.predict(sentences)]
