"""Requests that are too large, too slow, too deep, not HTTP, or without a key."""

import json
import socket
import time

import pytest
from live_server import Live, until

from elbert.serving.http import HttpSettings

ROUTES = ["/predict", "/", "/invocations", "/v1/classify", "/classify", "/v2/models/tiny/infer"]


def check_error(answer, status, kind):
    found, heads, body = answer
    assert (found, body["error_type"]) == (status, kind)
    assert sorted(body) == ["error", "error_type"]
    assert "\n" not in body["error"]
    assert heads["content-type"] == "application/json"
    assert heads["x-request-id"]
    return body["error"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"inputs": "a"} x',
        b'{"inputs": "\xff"}',
        b'{"inputs": "\\ud800"}',
        b'{"inputs": NaN}',
        b"[" * 100_000,
        b"[" * 2000 + b"]" * 2000,
        b'{"inputs":' * 2000 + b"1" + b"}" * 2000,
        b"\xef\xbb\xbf{}",
        '{"inputs": "a"}'.encode("utf-16"),
    ],
    ids=range(11),
)
def test_no_json(live, route, body):
    check_error(live.post(route, body), 400, "Malformed")


@pytest.mark.parametrize("route", ROUTES)
def test_deep_json_of_another_shape_is_rejected(live, route):
    check_error(live.post(route, b'{"inputs":' + b"[" * 1000 + b"]" * 1000 + b"}"), 422, "Validation")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_another_content_type(live, kind):
    check_error(live.post("/predict", b'{"inputs": "a"}', content_type=kind), 415, "UnsupportedMediaType")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/ld+json"])
def test_json_by_its_other_names(live, kind):
    assert live.post("/predict", b'{"inputs": "a"}', content_type=kind)[0] == 200


def test_no_content_type(live):
    with live.connect("POST", "/predict", b'{"inputs": "a"}', **{"content-type": None}) as place:
        assert b"415" in place.recv(100)


def test_nothing_there(live):
    assert "/docs" in check_error(live.get("/nowhere"), 404, "NotFound")
    check_error(live.get("/predict/"), 404, "NotFound")
    check_error(live.get("/%00%0d%0a"), 404, "NotFound")
    for method, path, allowed in [
        ("GET", "/predict", "POST"),
        ("DELETE", "/", "GET, HEAD, POST"),
        ("POST", "/health", "GET, HEAD"),
        ("OPTIONS", "/predict", "POST"),
    ]:
        answer = live.call(method, path)
        check_error(answer, 405, "MethodNotAllowed")
        assert answer[1]["allow"] == allowed


@pytest.fixture(scope="module")
def small():
    with Live(http=HttpSettings("tiny", payload_limit=1000, body_seconds=0.3), max_client_batch_size=4) as server:
        yield server


def test_a_body_that_says_it_is_too_large_is_not_read(small):
    with small.connect("POST", "/predict", content_length=10**12) as place:
        assert b"413" in place.recv(200)
    with small.connect("POST", "/predict", content_length="9" * 5000) as place:
        assert b"400" in place.recv(200)


def test_a_body_is_measured_as_it_comes(small):
    chunk = b"190\r\n" + b"x" * 400 + b"\r\n"
    with small.connect("POST", "/predict", content_length=None, transfer_encoding="chunked") as place:
        place.sendall(chunk * 2)
        time.sleep(0.02)
        place.sendall(chunk)
        assert b"413" in place.recv(200)


def test_as_large_as_it_may_be(small):
    body = json.dumps({"inputs": "a" * 900}).encode().ljust(1000)
    assert small.post("/predict", body)[0] == 200
    check_error(small.post("/predict", body + b" "), 413, "PayloadTooLarge")


def test_a_slow_body_is_not_waited_for(small):
    with small.connect("POST", "/predict", b'{"inputs":', content_length=100) as place:
        assert b"408" in place.recv(200)


def test_a_body_that_comes_in_pieces(live):
    with live.connect("POST", "/predict", b'{"inputs":', content_length=15) as place:
        time.sleep(0.05)
        place.sendall(b' "a"}')
        assert b"200 OK" in place.recv(200)


def test_bodies_that_wait_are_bounded_together(small, monkeypatch):
    monkeypatch.setattr("elbert.serving.http.body.MAX_UNREAD_BODIES", 2)
    places = [small.connect("POST", "/predict", b"x" * 900, content_length=950) for _ in range(4)]
    found = b"".join(place.recv(200) for place in places)
    for place in places:
        place.close()
    assert b"429" in found
    assert b"408" in found
    assert small.post("/predict", {"inputs": "a"})[0] == 200


def test_what_is_no_http():
    with Live(http=HttpSettings("tiny", payload_limit=1000)) as server:
        with server.connect("BAD METHOD", "/") as place:
            answer = b"".join(iter(lambda: place.recv(1000), b""))
        assert b"400 Bad Request" in answer
        assert json.loads(answer.split(b"\r\n\r\n")[1])["error_type"] == "Malformed"
        assert server.post("/predict", {"inputs": "a"})[0] == 200
        check_error(server.post("/predict", {"inputs": "a" * 1000}), 413, "PayloadTooLarge")


def test_a_client_that_never_completes_its_head_is_disconnected():
    with Live(http=HttpSettings("tiny", head_seconds=0.1)) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as place:
            place.sendall(b"GET /health HTTP/1.1\r\nhost:")
            assert place.recv(10) == b""
        with server.held(), server.connect("POST", "/predict", b'{"inputs": "a"}') as place:
            time.sleep(0.35)  # a client that waits for an answer stays connected
            server.backend.open.set()
            assert b"200 OK" in place.recv(200)


def test_many_texts(small):
    check_error(small.post("/v1/classify", {"inputs": ["a"] * 5}), 422, "Validation")


def test_two_megabytes_of_text(live):
    for text in ("a" * 1_900_000, "good " * 380_000, "." * 1_900_000, "\0" * 300_000):
        status, heads, _ = live.post("/predict", {"inputs": text})
        assert status == 200
        assert int(heads["x-compute-characters"]) == len(text)
    check_error(live.post("/predict", {"inputs": "a" * 2_000_001}), 413, "PayloadTooLarge")


@pytest.mark.parametrize("text", ["\0", "\0a\0", "\u202e", "\ufffe", "😀", "\u0301" * 50, " ", "\n", "\x7f"])
def test_strange_characters_are_texts(live, text):
    assert live.post("/predict", {"inputs": text})[0] == 200


@pytest.fixture(scope="module")
def locked():
    with Live(http=HttpSettings("tiny", api_key="sécret")) as server:
        yield server


@pytest.mark.parametrize(
    "sent", [None, "", "Bearer", "Bearer wrong", "bearer sécret", "Basic sécret", "Bearer sécrets"]
)
def test_no_answer_without_the_key(locked, sent):
    heads = {} if sent is None else {"authorization": sent.encode()}
    for method, path in [("POST", route) for route in ROUTES] + [("GET", "/info"), ("GET", "/explorer/model.json")]:
        answer = locked.call(method, path, {"inputs": "a"} if method == "POST" else None, heads)
        check_error(answer, 401, "Unauthorized")
        assert answer[1]["www-authenticate"] == "Bearer"


def test_the_key_opens_and_probes_need_none(locked):
    key = {"authorization": "Bearer sécret".encode()}
    assert locked.call("POST", "/predict", {"inputs": "a"}, key)[0] == 200
    assert locked.call("GET", "/info", None, key)[0] == 200
    for path in ("/health", "/ready", "/ping", "/metrics", "/", "/docs", "/openapi.json", "/v2/health/live"):
        assert locked.get(path)[0] == 200
    check_error(locked.post("/", {"inputs": "a"}), 401, "Unauthorized")


def test_requests_have_names(live):
    assert live.get("/health", x_request_id="abc-123")[1]["x-request-id"] == "abc-123"
    for wrong in ("a b", "x" * 129, "ü", '"', ""):
        found = live.get("/health", x_request_id=wrong.encode())[1]["x-request-id"]
        assert found != wrong
        assert len(found) == 16


def test_pages_of_other_origins():
    with Live(http=HttpSettings("tiny", cors_allow_origin=("https://a.example",), api_key="k")) as server:
        preflight = {"origin": "https://a.example", "access-control-request-method": "POST"}
        preflight["access-control-request-headers"] = "authorization, content-type"
        status, heads, _ = server.call("OPTIONS", "/predict", None, preflight)
        assert (status, heads["access-control-allow-origin"]) == (204, "https://a.example")
        assert heads["access-control-allow-headers"] == "authorization, content-type"
        error = server.call("POST", "/predict", {"inputs": "a"}, {"origin": "https://a.example"})
        assert (error[0], error[1]["access-control-allow-origin"]) == (401, "https://a.example")
        other = server.call("OPTIONS", "/predict", None, {**preflight, "origin": "https://b.example"})
        assert "access-control-allow-origin" not in other[1]
    with Live(http=HttpSettings("tiny", cors_allow_origin=("*",))) as server:
        assert server.get("/health", origin="https://b.example")[1]["access-control-allow-origin"] == "*"
        assert "access-control-allow-origin" not in server.get("/health")[1]


def test_other_origins_may_not_read_by_default(live):
    assert "access-control-allow-origin" not in live.get("/health", origin="https://a.example")[1]
    assert until(lambda: live.get("/ready")[0] == 200)
