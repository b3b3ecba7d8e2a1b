"""The explorer's server: what it answers, and whom."""

import base64
import hashlib
import re

import pytest
from starlette.testclient import TestClient

from elbert.errors import InputError
from elbert.exits import policy
from elbert.serving import Evaluation, app, most_texts
from elbert.serving.explore import name_of
from elbert.serving.explore_request import LONGEST, MOST_INPUTS

HERE = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def client(classifier, evaluation):
    return TestClient(app(classifier, evaluation), base_url=HERE)


def ask(client, **body):
    return client.post("/v1/classify", json=body)


def test_the_page_may_run_its_own_scripts_and_nothing_else(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    allowed = answer.headers["content-security-policy"]
    assert "default-src 'none'" in allowed
    assert "unsafe" not in allowed
    for tag, inside in re.findall(r"<(script|style)>(.*?)</\1>", answer.text, re.DOTALL):
        assert base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode() in allowed, tag


def test_a_text_with_its_trace(client, classifier):
    answer = ask(client, inputs=["a charming film"], policy="full", trace=True).json()["data"]
    [expected] = classifier.predict(["a charming film"], "full", trace=True)
    [found] = answer
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
    found = ask(client, inputs=inputs).json()["data"]
    expected = classifier.predict(texts)
    assert [(f["label"], f["depth"], f["reason"], f["trace"]) for f in found] == [
        (e.label, e.depth, e.reason, None) for e in expected
    ]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "inputs"),
        ({"inputs": "a text"}, "inputs"),
        ({"inputs": []}, "1 to 32"),
        ({"inputs": ["x"] * (MOST_INPUTS + 1)}, "1 to 32"),
        ({"inputs": [3]}, "text 0 is int"),
        ({"inputs": [["a", "b"]]}, "a pair is"),
        ({"inputs": [{"text": "a"}]}, "text 0"),
        ({"inputs": [{"text": "a", "text_pair": 1}]}, "text 0"),
        ({"inputs": ["x" * (LONGEST + 1)]}, "100,001 characters"),
        ({"inputs": ["x"], "policy": "entropi(1)"}, "known policies"),
        ({"inputs": ["x"], "policy": "depth(13)"}, "12 depths"),
        ({"inputs": ["x"], "policy": 3}, "policy must be"),
        ({"inputs": ["x"], "trace": "yes"}, "trace true or false"),
        ({"inputs": ["x"], "inptus": []}, "inptus"),
    ],
)
def test_refuses_in_one_line(client, body, told):
    answer = ask(client, **body)
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_refuses_what_is_not_json(client):
    assert client.post("/v1/classify", content=b"{").status_code == 415
    told = client.post("/v1/classify", content=b"{", headers={"content-type": "application/json"})
    assert (told.status_code, "not JSON" in told.json()["error"]) == (400, True)
    lone = b'{"inputs": ["\\ud800"]}'
    assert client.post("/v1/classify", content=lone, headers={"content-type": "application/json"}).status_code == 400
    assert client.get("/v1/classify").status_code == 405
    assert client.get("/nowhere").json()["error"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:80", "localhost:1234", "LOCALHOST", "[::1]:80", "127.1.2.3"])
def test_answers_to_names_of_this_machine(client, host):
    assert client.get("/explorer/model.json", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "10.0.0.1", "", "[::2]"])
def test_answers_to_no_other_name(client, host):
    for path in ("/", "/explorer/model.json", "/explorer/evaluation.json"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 403
        assert "this machine" in answer.json()["error"]


def test_the_model(client, classifier):
    told = client.get("/explorer/model.json").json()
    assert told["labels"] == ["negative", "positive"]
    assert (told["depths"], told["multi_label"], told["evaluation"]) == (12, False, True)
    assert policy(told["default"]) == classifier.policy
    assert {name: point["policy"] for name, point in told["points"].items()} == {
        name: str(point.policy) for name, point in classifier.bundle.points.items()
    }


def test_the_evaluation(client, classifier, evaluation):
    told = client.get("/explorer/evaluation.json").json()
    assert told["texts"] == list(evaluation.texts)
    assert told["label"] == evaluation.outputs.labels.tolist()
    assert [len(told["said"]), len(told["said"][0]), len(told["said"][0][0])] == [60, 12, 2]
    assert told["said"][5][3] == pytest.approx(evaluation.outputs.probabilities[5, 3].tolist(), abs=1e-7)
    without = TestClient(app(classifier), base_url=HERE)
    assert without.get("/explorer/evaluation.json").status_code == 404
    assert "--data" in without.get("/explorer/evaluation.json").json()["error"]
    assert without.get("/explorer/model.json").json()["evaluation"] is False


def test_the_page_decides_over_it_as_python_does(v8, client, evaluation):
    from elbert.exits import replay_exits

    told = client.get("/explorer/evaluation.json").json()
    leave = (
        "(t, spec) => t.said.map((steps, i) => { const {depth, reason} ="
        " Policies.replay(steps, spec, {entropy: t.entropy[i]}); return [depth, reason]; })"
    )
    for spec in ("window(entropy=0.25, size=4, margin=0.1)", "entropy(0.4) | patience(3)", "gap(0.9)"):
        depth, reason = replay_exits(evaluation.outputs.probabilities, spec)
        assert v8(leave, told, spec) == [list(pair) for pair in zip(depth.tolist(), reason)]


def test_a_regression_has_nothing_to_explore(tmp_path):
    from elbert import Classifier
    from tiny import write_bundle

    folder = write_bundle(tmp_path / "m", labels=("value",), problem_type="regression", num_labels=1)
    with pytest.raises(InputError, match="no exits"):
        app(Classifier.load(folder))


def test_names_and_limits(classifier):
    assert name_of(("/", "home", "models--org--name", "snapshots", "0123")) == "org/name"
    assert name_of(("/", "home", "mine")) == "mine"
    assert most_texts(classifier, 2000) == 2000
    assert most_texts(classifier, 10**9) == 4_000_000 // 24
    assert Evaluation([], None).of is None
