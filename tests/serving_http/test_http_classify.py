"""``/v1/classify``, whole and line by line; the Open Inference Protocol; pages."""

import json
import time

import pytest
from live_server import Live, tiny_classifier, until

from tiny import texts

LINES = {"accept": "application/x-ndjson"}


def items(live, inputs, **body):
    status, _, answer = live.post("/v1/classify", {"inputs": inputs, **body})
    assert status == 200, answer
    return answer["data"]


def test_an_answer_is_whole(live):
    [expected] = tiny_classifier().predict(["a good film"], "full", trace=True)
    status, heads, answer = live.post("/v1/classify", {"inputs": ["a good film"], "policy": "full", "trace": True})
    assert status == 200
    assert heads["x-elbert-operating-point"] == "full"
    assert answer["model"] == "tiny"
    assert answer["usage"] == {
        "prompt_tokens": 5,
        "total_tokens": 5,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
        "tokens": 5,
        "layer_tokens": 30,
    }
    [found] = answer["data"]
    assert found == {
        "index": 0,
        "label": expected.label,
        "probs": pytest.approx(list(expected.scores.values()), abs=1e-5),
        "num_classes": 2,
        "score": pytest.approx(expected.score, abs=1e-5),
        "scores": pytest.approx(dict(expected.scores), abs=1e-5),
        "depth": 6,
        "depths": 6,
        "reason": "last",
        "truncated": False,
        "tokens": 5,
        "operating_point": "full",
        "error": None,
        "trace": [
            {
                "depth": step.depth,
                "scores": pytest.approx(dict(step.scores), abs=1e-5),
                "entropy": pytest.approx(step.entropy, abs=1e-4),
            }
            for step in expected.trace
        ],
    }


@pytest.mark.parametrize("spec", [None, "safe", "balanced", "patience(2)", " entropy(0.3) | depth(4) "])
def test_answers_are_the_classifiers(live, spec):
    sentences = [*texts(20, seed=6), ("a good film", "it was dull"), ""]
    expected = tiny_classifier().predict(sentences, spec)
    inputs = [t if isinstance(t, str) else {"text": t[0], "text_pair": t[1]} for t in sentences]
    for i, (item, prediction) in enumerate(zip(items(live, inputs, policy=spec), expected)):
        assert (item["index"], item["label"], item["depth"], item["reason"]) == (
            i,
            prediction.label,
            prediction.depth,
            prediction.reason,
        )
        assert item["scores"] == pytest.approx(dict(prediction.scores), abs=1e-5)
        assert "trace" not in item


def test_which_point_was_in_force(live):
    assert items(live, ["a"])[0]["operating_point"] == "safe"
    assert items(live, ["a"], policy="fast")[0]["operating_point"] == "fast"
    evil = "window(entropy=0.1,\nsize=6)"  # a spec may hold a line's end; a header must not
    _, heads, answer = live.post("/v1/classify", {"inputs": ["a"], "policy": evil})
    assert "\n" not in heads["x-elbert-operating-point"]
    assert answer["data"][0]["error"] is None


def test_the_highest_labels_only(live):
    [item] = items(live, ["a good film"], top_k=1)
    assert item["scores"] == {item["label"]: item["score"]}


@pytest.mark.parametrize("policy", ["entropi(1)", "depth(13)", "depth(99", "", "1is 2", "fast" * 100])
def test_a_policy_that_cannot_be_read(live, policy):
    status, _, answer = live.post("/v1/classify", {"inputs": ["a"], "policy": policy})
    assert (status, answer["error_type"]) == (422, "Validation")


def test_a_deadline_is_kept_with_the_best_so_far(live):
    body = json.dumps({"inputs": ["a good film"], "policy": "full", "deadline_ms": 300}).encode()
    with live.held(), live.connect("POST", "/v1/classify", body, connection="close") as place:
        until(lambda: live.service.info()["under_way"] == 1)
        time.sleep(0.35)
        live.backend.open.set()
        answer = b"".join(iter(lambda: place.recv(1000), b""))
    [item] = json.loads(answer.partition(b"\r\n\r\n")[2])["data"]
    assert (item["reason"], item["depth"]) == ("deadline", 1)
    [item] = items(live, ["a good film"], policy="full", deadline_ms=60_000)
    assert item["reason"] == "last"


def test_a_deadline_that_passes_before_the_first_layer_is_rejected_or_costs_depth(live):
    status, _, answer = live.post("/v1/classify", {"inputs": ["a"], "policy": "full", "deadline_ms": 0.01})
    assert status in (200, 429)
    assert answer.get("error_type") == "Overloaded" or answer["data"][0]["reason"] == "deadline"


def test_errors_are_per_text(live):
    live.backend.nan = 1
    found = items(live, ["a good film", "it was dull"], policy="depth(1)")
    live.backend.nan = 0
    for item in found:
        assert item["error"]["error_type"] == "Backend"
        assert item["label"] is item["score"] is item["depth"] is None
    assert items(live, ["a good film"])[0]["error"] is None


def lines_of(place):
    """What comes on a socket, as lines of JSON, each as soon as it is there."""
    stream = place.makefile("rb")
    head = b"".join(iter(stream.readline, b"\r\n")).decode().lower()
    assert "200 ok" in head
    assert "application/x-ndjson" in head
    while size := int(stream.readline(), 16):
        yield json.loads(stream.read(size))
        stream.readline()
    stream.readline()


def test_lines_come_as_texts_exit(live):
    sentences = texts(16, seed=6)
    expected = tiny_classifier().predict(sentences)
    with live.connect("POST", "/v1/classify", json.dumps({"inputs": sentences}).encode(), **LINES) as place:
        found = list(lines_of(place))
    assert sorted(item["index"] for item in found) == list(range(16))
    for item in found:
        assert (item["label"], item["depth"]) == (expected[item["index"]].label, expected[item["index"]].depth)
    depths = [item["depth"] for item in found[:8]]
    assert depths == sorted(depths), "of those that start together, shallower exits come first"


def test_a_line_is_there_before_the_others_are_done(live):
    sentences = texts(8, seed=6)
    depths = [p.depth for p in tiny_classifier().predict(sentences)]
    assert min(depths) < max(depths)
    wait = min(depths)  # layer calls until the first exits
    live.backend.open.clear()
    before = live.backend.steps
    with live.connect("POST", "/v1/classify", json.dumps({"inputs": sentences}).encode(), **LINES) as place:
        until(lambda: live.service.info()["under_way"] == 8)
        while live.backend.steps < before + wait:
            live.backend.open.set()
            live.backend.open.clear()
        lines = lines_of(place)
        assert next(lines)["depth"] <= max(depths)
        remaining = live.service.info()["under_way"]
        live.backend.open.set()
        assert len(list(lines)) == 7
        assert remaining < 8


def test_line_requests_are_rejected_like_others(live):
    status, heads, answer = live.call("POST", "/v1/classify", {"inputs": []}, LINES)
    assert (status, heads["content-type"], answer["error_type"]) == (422, "application/json", "Validation")
    status, _, body = live.call("POST", "/v1/classify", {"inputs": ["a"]}, LINES)
    assert (status, body.count(b"\n")) == (200, 1)


def tensor(data, name="text"):
    return {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data}


def test_open_inference(live):
    [expected] = tiny_classifier().predict([("a good film", "dull")])
    body = {"id": "7", "inputs": [tensor(["a good film"]), tensor(["dull"], "text_pair")]}
    status, _, answer = live.post("/v2/models/tiny/infer", body)
    assert (status, answer["model_name"], answer["id"]) == (200, "tiny", "7")
    assert answer["parameters"] == {"operating_point": "safe"}
    found = {output["name"]: output for output in answer["outputs"]}
    assert found["label"] == {"name": "label", "shape": [1], "datatype": "BYTES", "data": [expected.label]}
    assert found["scores"]["shape"] == [1, 2]
    assert found["scores"]["data"] == pytest.approx(list(expected.scores.values()), abs=1e-5)
    assert found["depth"]["data"] == [expected.depth]
    some = live.post(
        "/v2/models/tiny/infer", {**body, "outputs": [{"name": "score"}], "parameters": {"policy": "fast"}}
    )
    assert [output["name"] for output in some[2]["outputs"]] == ["score"]
    assert live.post("/v2/models/tiny/infer", {**body, "outputs": [{"name": "x"}]})[0] == 422
    assert live.post("/v2/models/tiny/infer", {**body, "outputs": [{"name": []}]})[0] == 422
    assert live.post("/v2/models/other/infer", body)[0] == 404
    versioned = live.post("/v2/models/tiny/versions/1/infer", body)[2]
    assert [output["data"] for output in versioned["outputs"]] == [output["data"] for output in answer["outputs"]]
    assert live.post("/v2/models/tiny/versions/2/infer", body)[0] == 404


def test_open_inference_metadata(live):
    assert live.get("/v2")[2]["name"] == "elbert"
    model = live.get("/v2/models/tiny")[2]
    assert [tensor["name"] for tensor in model["outputs"]] == ["label", "score", "scores", "depth", "reason"]
    assert live.get("/v2/models/tiny/versions/1")[2] == model
    paths = ("health/live", "health/ready", "models/tiny/ready", "models/tiny/versions/1/ready")
    assert [live.get(f"/v2/{path}")[0] for path in paths] == [200] * 4


def test_a_models_name_may_have_parts():
    from elbert.serving.http import HttpSettings

    with Live(http=HttpSettings("org/model é{x}")) as server:
        assert server.get("/v2/models/org/model%20%C3%A9%7Bx%7D")[2]["name"] == "org/model é{x}"
        assert "/v2/models/org/model%20%C3%A9%7Bx%7D" in server.get("/openapi.json")[2]["paths"]


def test_info(live):
    info = live.get("/info")[2]
    expected = {
        "model_id": "tiny",
        "model_sha": None,
        "model_dtype": "float32",
        "served_model_name": "tiny",
        "max_concurrent_requests": 512,
        "max_input_length": 64,
        "max_batch_tokens": 16384,
        "max_client_batch_size": 32,
        "auto_truncate": True,
    }
    assert {name: info[name] for name in expected} == expected
    assert info["model_type"]["classifier"] == {
        "id2label": {"0": "negative", "1": "positive"},
        "label2id": {"negative": 0, "positive": 1},
    }
    assert {"max_batch_requests", "tokenization_workers", "version"} <= info.keys()
    assert info["elbert"]["operating_point"] == "safe"
    assert info["elbert"]["depths"] == 6
    assert len(info["elbert"]["weights"]) == 64


def test_pages(live):
    for path in ("/", "/docs"):
        status, heads, page = live.get(path)
        assert (status, heads["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in heads["content-security-policy"]
        assert "unsafe" not in heads["content-security-policy"]
        assert b"http://www" not in page.replace(b"http://www.w3.org", b"")
    assert live.get("/explorer/model.json")[2]["labels"] == ["negative", "positive"]
    assert live.get("/explorer/model.json")[2]["evaluation"] is False
    assert live.get("/explorer/evaluation.json")[0] == 404
    assert live.call("HEAD", "/health")[0] == 200
    assert "/v1/classify" in live.get("/docs")[2].decode()
