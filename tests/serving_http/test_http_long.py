"""``long`` in requests: windows of long texts in ``/v1/classify``, and the server's setting on other routes."""

import json

import pytest
from live_server import Live, tiny_classifier

from tiny import texts

LONG = [" ".join(texts(6, seed, longest=60)) for seed in range(3)]


@pytest.mark.parametrize("long", ["windows", "windows(vote, full)"])
def test_a_request_chooses(live, long):
    inputs = [*LONG, "a film"]
    status, _, answer = live.post("/v1/classify", {"input": inputs, "long": long})
    assert status == 200, answer
    for item, expected in zip(answer["data"], tiny_classifier().predict(inputs, long=long), strict=True):
        assert (item["windows"], item["windows_read"]) == (expected.windows, expected.windows_read)
        assert item["probs"] == pytest.approx(list(expected.scores.values()), abs=1e-5)
        assert item["label"] == expected.label and not item["truncated"]
    assert answer["usage"]["tokens"] == sum(item["tokens"] for item in answer["data"])


def test_lines_have_windows_too(live):
    status, _, body = live.call(
        "POST", "/v1/classify", {"input": LONG, "long": "windows"}, {"accept": "application/x-ndjson"}
    )
    lines = body if isinstance(body, list) else [json.loads(line) for line in body.splitlines()]
    assert status == 200 and sorted(line["index"] for line in lines) == [0, 1, 2]
    assert all(line["windows"] > 1 for line in lines)


@pytest.mark.parametrize("wrong", [{"long": "pages"}, {"long": 3}, {"long": "windows", "trace": True}])
def test_what_is_wrong_is_one_clear_line(live, wrong):
    status, _, answer = live.post("/v1/classify", {"input": LONG, **wrong})
    assert status == 422 and answer["error_type"] == "Validation" and "\n" not in answer["error"]


def test_without_it_a_text_is_cut(live):
    _, _, answer = live.post("/v1/classify", {"input": LONG[0]})
    assert answer["data"][0]["truncated"] and "windows" not in answer["data"][0]


def test_the_setting_holds_on_every_route():
    expected = tiny_classifier().predict(LONG[:1], long="windows(mean, full)")[0]
    with Live(long="windows(mean, full)") as server:
        for path, body in (("/predict", {"inputs": LONG[0]}), ("/", {"inputs": LONG[0], "parameters": {}})):
            status, _, answer = server.post(path, body)
            scores = {entry["label"]: entry["score"] for entry in (answer[0] if path == "/" else answer)}
            assert status == 200 and scores == pytest.approx(dict(expected.scores), abs=1e-5)
        status, _, answer = server.post("/v1/classify", {"input": LONG[0], "trace": True})
        assert status == 200 and answer["data"][0]["truncated"]
