"""Slow clients, and clients that disconnect: neither delays others or leaves rows behind."""

import json
import socket
import time
from contextlib import ExitStack, contextmanager

import pytest
from live import eventually, serving

from serving_peers.wire import post
from tiny import texts, write_bundle

TEXT = "a film with heart"
LONG = " ".join(["this is not a very good film but it was often charming and the ending was warm"] * 12)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving("--model-id", write_bundle(tmp_path_factory.mktemp("slow") / "tiny")) as live:
        yield live


@pytest.fixture(scope="module")
def busy():
    """The bundled model, whose long texts take a while."""
    capacity = ("--max-batch-tokens", 2**17)  # for many such texts at once
    with serving("--operating-point", "full", "--dtype", "float32", "--threads", 1, *capacity) as live:
        yield live


def test_a_client_that_sends_byte_by_byte_is_answered_and_delays_no_other(server):
    request = post("/predict", {"inputs": TEXT})
    with crowd(server, 20) as places:
        for at in range(len(request)):
            for place in places:
                place.sendall(request[at : at + 1])
            if at % 50 == 0:
                (other,) = server.ask(request)
                assert other.status == 200
        answers = [received(place) for place in places]
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    for answer in answers:
        assert scores(answer.partition(b"\r\n\r\n")[2]) == pytest.approx(scores(other.body), abs=1e-5)


def test_a_client_that_never_finishes_its_request_takes_no_place(server):
    half = post("/predict", {"inputs": TEXT})[:-5]
    with crowd(server, 50, half):
        (other,) = server.ask(post("/predict", {"inputs": TEXT}))
        assert other.status == 200
        assert server.info()["under_way"] == 0
    assert server.comes_to_rest()


def test_a_client_that_reads_slowly_gets_all_of_it(server):
    many = [[text or "a"] for text in texts(32)]
    with connected(server) as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        place.sendall(post("/predict", {"inputs": many}))
        answer = received(place, size=64)
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])) == len(many)


@pytest.mark.parametrize("path", ["/predict", "/v1/classify"])
def test_clients_that_vanish_leave_nothing_under_way(busy, path):
    bodies = {"/predict": [[LONG]] * 32, "/v1/classify": [LONG] * 32}
    with crowd(busy, 4, post(path, {"inputs": bodies[path]})) as places:
        assert eventually(lambda: busy.info()["under_way"] > 0)
        for place in places:
            hang_up(place)
    assert busy.comes_to_rest()
    (answer,) = busy.ask(post("/v1/classify", {"inputs": [TEXT]}))
    assert answer.json()["data"][0]["error"] is None


def test_a_client_that_vanishes_frees_its_rows_before_they_are_done(busy):
    request = post("/predict", {"inputs": [[LONG]] * 32})
    began = time.monotonic()
    busy.ask(request)
    alone = time.monotonic() - began
    with crowd(busy, 12, request) as places:
        assert eventually(lambda: busy.info()["under_way"] > 10 * 32)
        began = time.monotonic()
        for place in places:
            hang_up(place)
        assert busy.comes_to_rest()
    assert time.monotonic() - began < 5 * alone, "ten times as much was computed without a client"


def scores(body):
    return {entry["label"]: entry["score"] for entry in json.loads(body)}


def connected(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


@contextmanager
def crowd(server, many, request=b""):
    """So many connections, on each of which a request was sent."""
    with ExitStack() as stack:
        places = [stack.enter_context(connected(server)) for _ in range(many)]
        for place in places:
            place.sendall(request)
        yield places


def hang_up(place):
    """At once, with a reset, as a client that is killed does."""
    place.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    place.close()


def received(place, size=65536):
    """One answer, all of it."""
    answer = bytearray()
    while b"\r\n\r\n" not in answer:
        answer += place.recv(size)
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += place.recv(size)
    return head + b"\r\n\r\n" + body
