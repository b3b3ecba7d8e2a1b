"""Bodies that are compressed, hold more values than a request may have, or are held back."""

import json
import time
from contextlib import ExitStack

import pytest
from live_server import Live

from elbert.serving.http import HttpSettings
from elbert.serving.http.body import MAX_VALUES
from elbert.serving.http.negotiation import parse_media_ranges, prefers_lines

ROUTES = ["/predict", "/", "/invocations", "/v1/classify", "/classify", "/v2/models/tiny/infer"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "x-gzip", "identity, gzip"])
def test_a_compressed_body_is_rejected_in_a_line(live, route, coding):
    status, heads, answer = live.post(route, b'{"inputs": "a"}', content_encoding=coding)
    assert (status, answer["error_type"]) == (415, "UnsupportedMediaType")
    assert "without compression" in answer["error"]
    assert "\n" not in answer["error"]
    assert heads["accept-encoding"] == "identity"


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_that_is_declared_as_it_is(live, coding):
    assert live.post("/predict", b'{"inputs": "a"}', content_encoding=coding)[0] == 200


def test_a_compressed_transfer_is_rejected(live):
    with live.connect("POST", "/predict", content_length=None, transfer_encoding="gzip, chunked") as place:
        place.sendall(b"0\r\n\r\n")
        assert b"415" in place.recv(200)


def body_of(shape, number, entry):
    entries = b",".join([entry] * number)
    if shape == "v2":
        head = b'{"inputs": [{"name": "text", "shape": [%d], "datatype": "BYTES", "data": [' % number
        return head + entries + b"]}]}"
    return b'{"inputs": [' + entries + (b'], "parameters": {}}' if shape == "hf" else b"]}")


@pytest.mark.parametrize(
    ("route", "shape"),
    [("/predict", ""), ("/", ""), ("/", "hf"), ("/v1/classify", ""), ("/v2/models/tiny/infer", "v2")],
)
@pytest.mark.parametrize("entry", [b'"a"', b'["a"]', b"0", b'{"text":"a"}', b"[]", b'"\\",\\\\"'])
def test_values_are_counted_before_they_are_built(live, monkeypatch, route, shape, entry):
    from elbert.serving.http import body

    monkeypatch.setattr(body, "_describe", lambda *_: 1 / 0)  # of a decoder that has begun
    monkeypatch.setattr(body, "_check_syntax", lambda *_: 1 / 0)
    status, _, answer = live.post(route, body_of(shape, 100_000, entry))
    assert (status, answer["error_type"]) == (422, "Validation")
    assert answer["error"].startswith("more than 4,608 values in a request, expected at most 32 texts")


@pytest.mark.parametrize("piece", ["a, ", "[{", '\\"', '"', "\\", '\\\\", ', "]", "ä,"])
def test_what_a_text_holds_does_not_count(live, piece):
    text = piece * (MAX_VALUES + 1000)
    assert live.post("/predict", {"inputs": text})[0] == 200
    assert live.post("/v1/classify", {"inputs": [text, {"text": text, "text_pair": piece}]})[0] == 200


def test_ignored_fields_of_a_usual_size_are_ignored(live):
    assert live.post("/predict", {"inputs": "a", "tags": list(range(MAX_VALUES))})[0] == 200


@pytest.mark.parametrize("part", [b"[", b'{"a":', b'["a",', b'[[],"\\"[",'])
def test_depth_is_counted_outside_of_strings(live, part):
    body = b'{"inputs": ' + part * 2000
    assert live.post("/predict", body)[0] == 400
    assert live.post("/predict", json.dumps({"inputs": part.decode() * 2000}).encode())[0] == 200


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr("elbert.serving.http.body.MAX_UNREAD_BODIES", 2)
    with Live(http=HttpSettings("tiny", payload_limit=64_000, body_seconds=20)) as server:
        yield server


def held(server, number):
    """So many large bodies that stop short of their ends."""
    stack = ExitStack()
    return stack, [
        stack.enter_context(server.connect("POST", "/predict", b" " * 62_000, content_length=63_000))
        for _ in range(number)
    ]


def test_small_bodies_get_in_while_large_ones_are_held(narrow):
    stack, _ = held(narrow, 2)
    with stack:
        for _ in range(5):
            assert narrow.post("/predict", {"inputs": "a"})[0] == 200


def test_a_large_body_takes_the_place_of_the_slowest(narrow):
    stack, places = held(narrow, 3)
    with stack:
        answer = places[0].recv(1000)
        assert b"429" in answer
        assert b"connection: close" in answer
        assert b"retry-after" in answer
        body = json.dumps({"inputs": "a " * 30_000}).encode()
        with narrow.connect("POST", "/predict", body[:30_000], content_length=len(body)) as place:
            time.sleep(0.02)
            place.sendall(body[30_000:])
            assert b"200 OK" in place.recv(200)


@pytest.mark.parametrize(
    ("accept", "lines"),
    [
        ("application/x-ndjson", True),
        ("Application/X-NDJSON", True),
        ("application/x-ndjson, application/json", True),
        ("application/json, application/x-ndjson;q=0", False),
        ("application/x-ndjson;q=0", False),
        ("application/x-ndjson; q=0.000", False),
        ("application/x-ndjson;q=0.5, application/json", False),
        ("application/x-ndjson;q=0.5, */*;q=0.1", True),
        ("application/x-ndjson;q=0.5, application/*", False),
        ("application/x-ndjson;q=0.5, application/json;q=0.1, */*", True),
        ("application/x-ndjson;q=2", False),
        ("application/x-ndjson;q=nan", False),
        ("application/x-ndjson;charset=utf-8;Q=1", True),
        ("application/x-ndjsonx", False),
        ("text/application/x-ndjson", False),
        ("*/*", False),
        ("", False),
        (";;,,=,q=", False),
    ],
)
def test_the_preferred_form_of_an_answer(live, accept, lines):
    assert prefers_lines(accept) is lines
    kind = live.post("/v1/classify", {"inputs": ["a"]}, accept=accept)[1]["content-type"]
    assert kind == ("application/x-ndjson" if lines else "application/json")


def test_media_ranges():
    assert parse_media_ranges("a/b;x=1;q=0.25, c/d , a/b;q=0.5") == {"a/b": 0.5, "c/d": 1.0}


def test_accept_in_two_headers_is_one_list(live):
    with live.connect(
        "POST", "/v1/classify", b'{"inputs": ["a"]}', accept="application/x-ndjson\r\naccept: */*;q=0.1"
    ) as place:
        assert b"x-ndjson" in place.recv(1000)
