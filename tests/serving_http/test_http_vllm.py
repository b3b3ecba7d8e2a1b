"""The classification API of vLLM and SGLang: their clients' requests unchanged, and every field of their answers."""

import re
import time

import pytest
from live_server import Live, tiny_classifier

from elbert.serving.http import HttpSettings

TEXTS = [
    "Loved the new café—coffee was great.",
    "This update broke everything. Frustrating.",
]
VLLM_ITEM = {"index", "label", "probs", "num_classes"}
OUR_ITEM = {"score", "scores", "depth", "depths", "reason", "truncated", "tokens", "operating_point", "error"}


@pytest.fixture(scope="module")
def named():
    with Live(http=HttpSettings("org/tiny", served_model_name="tiny")) as server:
        yield server


@pytest.mark.parametrize("route", ["/classify", "/v1/classify"])
@pytest.mark.parametrize(
    "body",
    [
        {"model": "tiny", "input": TEXTS},  # vLLM's example
        {"model": "tiny", "input": TEXTS[0]},
        {"input": TEXTS},
        {"model": "tiny", "input": TEXTS, "user": "someone", "truncate_prompt_tokens": -1},
        {"model": "org/tiny", "input": TEXTS},  # the model's id beside its served name
        {"model": None, "input": TEXTS, "user": None, "truncate_prompt_tokens": None},
    ],
)
def test_the_answer_has_every_field(named, route, body):
    before = int(time.time())
    status, _, answer = named.post(route, body, x_request_id="abc")
    expected = tiny_classifier().predict(TEXTS if isinstance(body["input"], list) else TEXTS[:1])
    tokens = [len(row.ids) for row in tiny_classifier().tokeniser.encode(TEXTS[: len(expected)])]
    assert status == 200
    assert answer.keys() == {"id", "object", "created", "model", "data", "usage"}
    assert (answer["id"], answer["object"], answer["model"]) == ("classify-abc", "list", "tiny")
    assert before <= answer["created"] <= time.time()
    assert answer["usage"] == {
        "prompt_tokens": sum(tokens),
        "total_tokens": sum(tokens),
        "completion_tokens": 0,
        "prompt_tokens_details": None,
        "tokens": sum(tokens),
        "layer_tokens": sum(p.depth * n for p, n in zip(expected, tokens)),
    }
    labels = tiny_classifier().labels
    for i, (item, prediction) in enumerate(zip(answer["data"], expected, strict=True)):
        assert item.keys() == VLLM_ITEM | OUR_ITEM
        assert (item["index"], item["label"], item["num_classes"]) == (i, prediction.label, len(labels))
        assert item["probs"] == pytest.approx([prediction.scores[label] for label in labels], abs=1e-5)
        assert item["probs"][labels.index(item["label"])] == max(item["probs"]) == item["score"]


def test_ids_differ(named):
    found = {named.post("/classify", {"input": "a"})[2]["id"] for _ in range(3)}
    assert len(found) == 3
    assert all(re.fullmatch(r"classify-[0-9a-f]{16}", name) for name in found)


def test_probs_are_complete_and_in_the_order_of_labels_whatever_top_k(named):
    [item] = named.post("/classify", {"input": TEXTS[0], "top_k": 1})[2]["data"]
    assert len(item["probs"]) == item["num_classes"] == 2
    assert len(item["scores"]) == 1


def test_pairs_policies_and_traces_go_with_input(named):
    body = {"input": [{"text": "a good film", "text_pair": "dull"}, "a"], "policy": "full", "trace": True}
    found = named.post("/classify", body)[2]["data"]
    [expected, _] = tiny_classifier().predict([("a good film", "dull"), "a"], "full")
    assert [found[0]["label"], found[0]["depth"], len(found[0]["trace"])] == [expected.label, 6, 6]


def test_inputs_still_works(named):
    old = named.post("/v1/classify", {"inputs": TEXTS})[2]
    new = named.post("/v1/classify", {"input": TEXTS})[2]
    assert [item["scores"] for item in old["data"]] == [item["scores"] for item in new["data"]]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "no input"),
        ({"input": ["a"], "inputs": ["a"]}, "both input and inputs"),
        ({"input": []}, "input: expected an array of length >= 1"),
        ({"input": None}, "input: expected a string or an array"),
        ({"input": {"text": "a"}}, "input: expected a string or an array"),
        ({"input": [1, 2, 3]}, "input[0]: expected a string or an object, got an integer"),
        ({"input": [[1, 2, 3]]}, "input[0]: expected a string or an object, got an array"),
        ({"input": "a", "truncate_prompt_tokens": -2}, "truncate_prompt_tokens: expected an integer >= -1"),
        ({"input": "a", "truncate_prompt_tokens": 1}, "expected at least"),
        ({"input": "a", "user": 3}, "user: expected a string or null"),
        ({"input": "a", "model": 3}, "model: expected a string or null"),
        ({"messages": [{"role": "user", "content": "a"}]}, "unknown field 'messages'"),
        ({"input": "a", "polcy": "full"}, "the body: unknown field 'polcy', closest to 'policy'; a request is {"),
        ({"input": "a", "topk": 1}, "unknown field 'topk', closest to 'top_k'"),
        ({"input": [{"text": "a", "text_par": "b"}]}, "input[0]: unknown field 'text_par', closest to 'text_pair'"),
    ],
)
def test_other_bodies_are_rejected_with_the_place_and_the_form(named, body, problem):
    status, _, answer = named.post("/classify", body)
    assert (status, answer["error_type"]) == (422, "Validation")
    assert problem in answer["error"]


@pytest.mark.parametrize("ids", [[1, 2, 3], [[1, 2], [3]]])
def test_token_ids_are_rejected_clearly(named, ids):
    assert "token ids are not accepted" in named.post("/classify", {"input": ids})[2]["error"]


@pytest.mark.parametrize("model", ["other", "", "TINY"])
def test_an_unknown_model_is_not_found(named, model):
    status, _, answer = named.post("/classify", {"model": model, "input": "a"})
    assert (status, answer["error_type"]) == (404, "NotFound")
    assert "'tiny'" in answer["error"]
    assert "/v1/models" in answer["error"]


def test_truncation_to_fewer_tokens(named):
    long = "good " * 30
    [item] = named.post("/classify", {"input": long, "truncate_prompt_tokens": 10})[2]["data"]
    [expected] = tiny_classifier().predict(["good " * 8])
    assert (item["tokens"], item["truncated"]) == (10, True)
    assert item["scores"] == pytest.approx(dict(expected.scores), abs=1e-5)
    for limit in (-1, 64, 10_000):
        [item] = named.post("/classify", {"input": long, "truncate_prompt_tokens": limit})[2]["data"]
        assert (item["tokens"], item["truncated"]) == (32, False)
    [item] = named.post("/classify", {"input": "good " * 100, "truncate_prompt_tokens": -1})[2]["data"]
    assert (item["tokens"], item["truncated"]) == (64, True)


def test_an_error_of_one_text_keeps_the_shape(named):
    named.backend.nan = 1
    [item] = named.post("/classify", {"input": "a good film", "policy": "depth(1)"})[2]["data"]
    named.backend.nan = 0
    assert item.keys() == VLLM_ITEM | OUR_ITEM
    assert (item["label"], item["probs"], item["num_classes"]) == (None, None, 2)
    assert item["error"]["error_type"] == "Backend"


def test_models(named):
    status, _, answer = named.get("/v1/models")
    [model] = answer["data"]
    assert (status, answer["object"]) == (200, "list")
    assert model == {"id": "tiny", "object": "model", "created": model["created"], "owned_by": "elbert"}
    assert time.time() - 3600 < model["created"] <= time.time()


def test_models_needs_the_key():
    with Live(http=HttpSettings("tiny", api_key="k")) as locked:
        assert locked.get("/v1/models")[0] == 401
        assert locked.get("/v1/models", authorization="Bearer k")[0] == 200
