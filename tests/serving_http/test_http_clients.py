"""Clients that disconnect free their rows; errors of the service have their status."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from live_server import Live, until

from elbert.serving.http import HttpSettings
from elbert.serving.http.middleware import ClientDisconnected, DisconnectWatch

BODY = json.dumps({"inputs": [["a good film"], ["it was dull"]]}).encode()
OURS = json.dumps({"inputs": ["a good film", "it was dull"]}).encode()
LINES = {"accept": "application/x-ndjson"}


@pytest.mark.parametrize(
    ("path", "body", "heads"),
    [
        ("/predict", BODY, {}),
        ("/", BODY, {}),
        ("/v1/classify", OURS, {}),
        ("/v1/classify", OURS, LINES),
    ],
)
def test_a_disconnect_frees_the_rows(live, path, body, heads):
    cancelled = live.counts()["elbert_cancelled_total"]
    with live.held():
        with live.connect("POST", path, body, **heads):
            until(lambda: live.service.info()["under_way"] == 2)
        until(lambda: live.service.info()["under_way"] == 0)
        assert live.service.info()["layer_tokens_under_way"] == 0
    assert live.counts()["elbert_cancelled_total"] == cancelled + 2
    assert live.post("/predict", {"inputs": "a good film"})[0] == 200


def test_a_disconnect_in_the_middle_of_the_lines(live):
    body = json.dumps({"inputs": ["a good film"] * 20, "policy": "full"}).encode()  # more than share a layer call
    with live.connect("POST", "/v1/classify", body, **LINES) as place:
        assert place.recv(10)
        live.backend.open.clear()
    live.backend.open.set()
    until(lambda: live.service.info()["under_way"] == 0)


def test_a_disconnect_before_the_body_is_complete(live):
    before = live.counts()
    with live.connect("POST", "/predict", b'{"inputs"', content_length=100):
        pass
    with live.connect("POST", "/predict", b'{"inputs"', content_length=100) as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not an end
    until(lambda: live.counts()['te_request_count{method="single"}'] == before['te_request_count{method="single"}'] + 2)
    after = live.counts()
    assert {n: v for n, v in after.items() if "failure" in n} == {n: v for n, v in before.items() if "failure" in n}


def test_many_come_and_go(live):
    def one(i):
        with live.connect("POST", "/predict", BODY) as place:
            if i % 3:
                return place.recv(12)
        return None

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(one, range(90)))
    assert found.count(b"HTTP/1.1 200") == 60
    until(lambda: live.service.info()["under_way"] == 0)


def test_several_requests_on_one_connection(live):
    with live.connect("POST", "/predict", BODY) as place:
        for _ in range(3):
            stream = place.makefile("rb")
            assert b"200" in stream.readline()
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length"):
                    length = int(line.split(b":")[1])
            assert len(json.loads(stream.read(length))) == 2
            head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}"
            place.sendall(head.encode() + b"\r\n\r\n" + BODY)


def test_the_watch_keeps_other_cancellations():
    import asyncio

    async def receive_nothing():
        await asyncio.sleep(60)

    async def receive_disconnect():
        return {"type": "http.disconnect"}

    async def inside(receive):
        async with DisconnectWatch(receive):
            await asyncio.sleep(60)

    async def test():
        with pytest.raises(ClientDisconnected):
            await inside(receive_disconnect)
        task = asyncio.create_task(inside(receive_nothing))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with DisconnectWatch(receive_nothing):
            pass
        with pytest.raises(ValueError, match="ours"):
            async with DisconnectWatch(receive_nothing):
                raise ValueError("ours")
        assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task() and not t.cancelling()]

    asyncio.run(test())


@pytest.fixture(scope="module")
def narrow():
    with Live(http=HttpSettings("tiny"), max_concurrent_requests=2) as server:
        yield server


def test_overload_is_rejected_with_a_time_to_retry(narrow):
    with narrow.held(), narrow.connect("POST", "/predict", BODY) as first:
        until(lambda: narrow.service.info()["under_way"] == 2)
        for path in ("/predict", "/v1/classify"):
            status, heads, answer = narrow.post(path, {"inputs": ["a"]})
            assert (status, answer["error_type"]) == (429, "Overloaded")
            assert int(heads["retry-after"]) >= 1
        narrow.backend.open.set()
        assert b"200 OK" in first.recv(100)
    assert narrow.post("/predict", {"inputs": "a"})[0] == 200


def test_a_layer_that_fails(live):
    live.backend.failing = 10_000
    status, _, answer = live.post("/predict", {"inputs": "a good film"})
    live.backend.failing = 0
    assert (status, answer["error_type"]) == (424, "Backend")
    assert "fell over" not in answer["error"], "internals stay in the log"
    # /ready may still say yes before the probe has found the engine wanting, so ask until it answers.
    until(lambda: live.post("/predict", {"inputs": "a good film"})[0] == 200)
    assert live.get("/ready")[0] == 200


def test_no_number_is_no_answer(live):
    live.backend.nan = 10_000
    found = [live.post(path, {"inputs": ["a good film"]}) for path in ("/predict", "/v1/classify")]
    live.backend.nan = 0
    assert (found[0][0], found[0][2]["error_type"]) == (424, "Backend")
    assert (found[1][0], found[1][2]["data"][0]["error"]["error_type"]) == (200, "Backend")
    assert live.post("/predict", {"inputs": "a good film"})[0] == 200


class Panic(BaseException):
    """As the tokenizer's own, which is no Exception."""


@pytest.mark.parametrize("error", [RuntimeError("inside"), Panic("inside")])
def test_a_tokenizer_that_fails(live, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(live.classifier.tokeniser, "encode_each", fail)
    status, _, answer = live.post("/predict", {"inputs": "a good film"})
    assert (status, answer["error_type"]) == (422, "Tokenizer")
    assert "inside" not in answer["error"]
    monkeypatch.undo()
    assert live.post("/predict", {"inputs": "a good film"})[0] == 200
    assert live.service.info()["under_way"] == 0


def test_an_internal_fault_has_the_same_error_shape(live, monkeypatch):
    monkeypatch.setattr("elbert.serving.http.schemas.tei.parse_request", lambda *_: 1 / 0)
    status, _, answer = live.post("/predict", {"inputs": "a good film"})
    assert (status, answer["error_type"]) == (500, "Internal")
    assert "division" not in answer["error"]


def test_while_it_ends_it_finishes_and_takes_nothing_new():
    with Live() as server:
        server.backend.open.clear()
        with server.connect("POST", "/predict", BODY) as place:
            until(lambda: server.service.info()["under_way"] == 2)
            ending = threading.Thread(target=lambda: server.on_loop(server.service.stop(20)))
            ending.start()
            until(lambda: server.get("/ready")[0] == 503)
            assert server.get("/health")[0] == 200
            status, _, answer = server.post("/predict", {"inputs": "a"})
            assert (status, answer["error_type"]) == (503, "Unhealthy")
            server.backend.open.set()
            assert b"200 OK" in place.recv(100)
            ending.join(30)


def test_an_engine_that_cannot_recover_is_not_alive():
    with Live() as server:
        server.service._worker.has_failed = True
        assert server.get("/health")[0] == 503
        assert server.get("/ready")[2]["error_type"] == "Unhealthy"
        assert server.post("/predict", {"inputs": "a"})[0] == 503
        server.service._worker.has_failed = False


def test_lines_that_break_off_look_incomplete(live, monkeypatch):
    class Broken(dict):
        def __len__(self):
            raise RuntimeError("inside")

    monkeypatch.setattr("elbert.serving.http.schemas.classify.to_item", lambda *_: 1 / 0)
    with live.connect("POST", "/v1/classify", OURS, **LINES) as place:
        answer = b"".join(iter(lambda: place.recv(1000), b""))
    assert b"0\r\n\r\n" not in answer, "an answer that is cut off must not look whole"
