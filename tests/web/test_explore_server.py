"""The explorer's server: its answers, and the host names that it accepts."""

import base64
import hashlib
import re

import numpy as np
import pytest
from explorer_server import JSON, Client, run_explorer

from elbert.exits import policy
from elbert.serving.explorer import Evaluation, max_texts, model_name

MAX_INPUTS = 32


@pytest.fixture(scope="module")
def client(classifier, evaluation):
    with run_explorer(classifier, evaluation) as address:
        yield Client(address)


@pytest.fixture(scope="module")
def bare(classifier):
    """Without labelled texts."""
    with run_explorer(classifier) as address:
        yield Client(address)


def test_the_page_may_run_its_own_scripts_and_nothing_else(client):
    status, headers, page = client.get("/")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    allowed = headers["content-security-policy"]
    assert "default-src 'none'" in allowed
    assert "unsafe" not in allowed
    for tag, inside in re.findall(r"<(script|style)>(.*?)</\1>", page, re.DOTALL):
        assert base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode() in allowed, tag


def test_a_text_with_its_trace(client, classifier):
    [found] = client.classify(inputs=["a charming film"], policy="full", trace=True)[2]["data"]
    [expected] = classifier.predict(["a charming film"], "full", trace=True)
    assert (found["label"], found["depth"], found["depths"], found["reason"]) == (expected.label, 12, 12, "last")
    assert found["score"] == expected.score
    assert found["scores"] == expected.scores
    assert found["error"] is None
    assert found["tokens"] == len(classifier.tokeniser.encode(["a charming film"])[0].ids)
    assert found["trace"] == [
        {"depth": step.depth, "scores": dict(step.scores), "entropy": step.entropy} for step in expected.trace
    ]


def test_several_texts_and_pairs_in_order(client, classifier):
    inputs = ["a dull plot", {"text": "a film", "text_pair": "a good film"}, "", "great"]
    texts = ["a dull plot", ("a film", "a good film"), "", "great"]
    found = client.classify(inputs=inputs)[2]["data"]
    expected = classifier.predict(texts)
    assert [(f["label"], f["depth"], f["reason"], f.get("trace")) for f in found] == [
        (e.label, e.depth, e.reason, None) for e in expected
    ]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "input"),
        ({"inputs": "a text"}, "inputs"),
        ({"inputs": []}, "inputs: expected an array of length >= 1"),
        ({"inputs": ["x"] * (MAX_INPUTS + 1)}, "1 to 32"),
        ({"inputs": [3]}, "inputs[0]"),
        ({"inputs": [["a", "b"]]}, "text_pair"),
        ({"inputs": [{"text_pair": "a"}]}, "inputs[0]: missing field 'text'"),
        ({"inputs": [{"text": "a", "text_pair": 1}]}, "inputs[0].text_pair"),
        ({"inputs": ["x"], "policy": "entropi(1)"}, "known policies"),
        ({"inputs": ["x"], "policy": "depth(13)"}, "12 depths"),
        ({"inputs": ["x"], "policy": 3}, "policy: expected a string"),
        ({"inputs": ["x"], "trace": "yes"}, "trace: expected true or false"),
        ({"inputs": ["x"], "inptus": []}, "inptus"),
    ],
)
def test_rejects_in_one_line(client, body, problem):
    status, _, answer = client.classify(**body)
    assert status == 422
    assert problem in answer["error"]
    assert "\n" not in answer["error"]


def test_a_long_text_is_truncated_as_by_every_server(client):
    [found] = client.classify(inputs=["film " * 20_001])[2]["data"]
    assert (found["error"], found["truncated"]) == (None, True)


def test_rejects_what_is_not_json(client):
    assert client.call("POST", "/v1/classify", b"{")[0] == 415
    status, _, answer = client.call("POST", "/v1/classify", b"{", JSON)
    assert (status, "not JSON" in answer["error"]) == (400, True)
    assert client.call("POST", "/v1/classify", b'{"inputs": ["\\ud800"]}', JSON)[0] == 400
    assert client.get("/v1/classify")[0] == 405
    assert client.get("/nowhere")[2]["error"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:80", "localhost:1234", "LOCALHOST", "[::1]:80", "127.1.2.3"])
def test_answers_to_names_of_this_machine(client, host):
    assert client.get("/explorer/model.json", host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "10.0.0.1", "", "[::2]"])
def test_answers_to_no_other_name(client, host):
    for path in ("/", "/explorer/model.json", "/explorer/evaluation.json"):
        status, _, answer = client.get(path, host=host)
        assert status == 403
        assert "this machine" in answer["error"]
        assert answer["error_type"] == "Forbidden"


def test_the_model(client, classifier):
    about = client.get("/explorer/model.json")[2]
    assert about["labels"] == ["negative", "positive"]
    assert (about["depths"], about["multi_label"], about["evaluation"]) == (12, False, True)
    assert policy(about["default"]) == classifier.policy
    assert {name: point["policy"] for name, point in about["points"].items()} == {
        name: str(point.policy) for name, point in classifier.bundle.points.items()
    }


def test_the_evaluation(client, bare, evaluation):
    table = client.get("/explorer/evaluation.json")[2]
    assert table["texts"] == list(evaluation.texts)
    assert table["label"] == evaluation.outputs.labels.tolist()
    assert [len(table["probabilities"]), len(table["probabilities"][0]), len(table["probabilities"][0][0])] == [
        60,
        12,
        2,
    ]
    assert table["probabilities"][5][3] == pytest.approx(evaluation.outputs.probabilities[5, 3].tolist(), abs=1e-7)
    status, _, answer = bare.get("/explorer/evaluation.json")
    assert status == 404
    assert "--data" in answer["error"]
    assert bare.get("/explorer/model.json")[2]["evaluation"] is False


def test_the_page_decides_over_it_as_python_does(v8, client, evaluation):
    from elbert.exits import replay_exits

    table = client.get("/explorer/evaluation.json")[2]
    find_exits = (
        "(t, spec) => { const rules = $rules.listRules($specs.parsePolicy(spec));"
        " return t.probabilities.map((steps, i) => { const { depth, reason } ="
        " $rules.findExit($signals.computeSignals(steps, { known: { entropy: t.entropy[i] } }), rules);"
        " return [depth, reason]; }); }"
    )
    for spec in ("window(entropy=0.25, size=4, margin=0.1)", "entropy(0.4) | patience(3)", "gap(0.9)"):
        depth, reason = replay_exits(evaluation.outputs.probabilities, spec)
        assert v8(find_exits, table, spec) == [list(pair) for pair in zip(depth.tolist(), reason)]


def test_names_and_limits(classifier):
    assert model_name(("/", "home", "models--org--name", "snapshots", "0123")) == "org/name"
    assert model_name(("/", "home", "mine")) == "mine"
    labels = np.zeros(9, int)
    assert max_texts(classifier, 2000, labels) == 2000
    assert max_texts(classifier, 10**9, labels) == 4_000_000 // 24
    assert Evaluation([], None).total is None
