"""Connections of clients that send too much, withhold, do not read, send ahead, or close one direction only."""

import json
import logging
import random
import re
import select
import socket
import struct
import threading
import time
from contextlib import ExitStack, suppress

import pytest
from live_server import Live, until

from elbert.serving.http import HttpSettings
from elbert.serving.http.connection import MAX_AHEAD, Connection
from elbert.serving.http.heads import MAX_FIELDS, MAX_HEAD

BODY = b'{"inputs": "a good film"}'
POST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
PREDICT = POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
PAGE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def strict():
    """Everything needs a key, and nothing may take long."""
    with Live(http=HttpSettings("tiny", api_key="k", head_seconds=0.3, body_seconds=0.6)) as server:
        yield server


def dial(server, data=b"", buffer=None):
    place = socket.socket()
    if buffer:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    place.settimeout(20)
    place.connect(("127.0.0.1", server.port))
    place.sendall(data)
    return place


def read_all(place):
    """Everything until the server closes or resets the connection."""
    received = b""
    try:
        while part := place.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def statuses(answer):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d\d\d) ", answer)]


def warnings(caplog):
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def reset(place):
    place.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    place.close()


# What is not a body


def test_a_fault_of_the_server_before_the_application_is_no_fault_of_the_client(strict, monkeypatch, caplog):
    def fail(*_):
        raise MemoryError

    for name in ("on_message_begin", "on_url", "on_header", "on_headers_complete"):
        with monkeypatch.context() as patched:
            patched.setattr(Connection, name, fail)
            with dial(strict, HEALTH) as place:
                answer = read_all(place)
        assert statuses(answer) == [500], name
        assert b'"Internal"' in answer
    assert any(record.exc_info and record.exc_info[0] is MemoryError for record in warnings(caplog))
    assert strict.get("/health")[0] == 200


def fields(number):
    return b"".join(b"X-%06d: a\r\n" % i for i in range(number))


ENDLESS = {
    "headers": (POST, fields(20_000), 431),
    "one header": (POST + b"X: ", b"a" * 300_000, 431),
    "a name of a header": (POST, b"a" * 300_000, 431),
    "an address": (b"GET /", b"a" * 300_000, 431),
    "a query": (b"GET /health?", b"a=b&" * 80_000, 431),
    "a method": (b"GET ", b" " * 300_000, 431),
    "blank lines": (b"", b"\r\n" * 150_000, 400),
    "a trailer": (CHUNKED + CHUNK + b"0\r\n", fields(20_000), 400),
    "a trailer of one field": (CHUNKED + CHUNK + b"0\r\nX: ", b"a" * 300_000, 400),
    "an extension of a chunk": (CHUNKED + b"5;", b"a" * 300_000, 400),
    "chunks": (CHUNKED, b"1\r\n \r\n" * 50_000, 400),
    "zeros of a chunk's size": (CHUNKED, b"0" * 300_000, 400),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_is_no_body_is_bounded_before_the_key_is_looked_at(strict, name):
    begin, more, status = ENDLESS[name]
    with dial(strict, begin) as place:
        with suppress(BrokenPipeError, ConnectionResetError):
            place.sendall(more)
        answer = read_all(place)
    assert statuses(answer) in ([status], [401])  # a request without a key may have its answer already
    assert strict.get("/health")[0] == 200


@pytest.mark.parametrize("name", [name for name in ENDLESS if ENDLESS[name][0].startswith(CHUNKED)])
def test_bodies_without_an_end_are_bounded_while_they_are_read(live, name):
    begin, more, status = ENDLESS[name]
    with dial(live, begin) as place:
        with suppress(BrokenPipeError, ConnectionResetError):
            place.sendall(more)
        assert statuses(read_all(place)) in ([status], [200, status])  # the body before a trailer may be complete


def test_a_rejected_head_has_the_shape_of_every_error(strict):
    with dial(strict, POST + b"X: " + b"a" * MAX_HEAD) as place:
        head, _, body = read_all(place).partition(b"\r\n\r\n")
    assert b"431 Request Header Fields Too Large" in head
    assert b"connection: close" in head
    assert json.loads(body)["error_type"] == "HeaderTooLarge"


@pytest.mark.parametrize(("size", "status"), [(MAX_HEAD, 200), (MAX_HEAD + 1, 431)])
@pytest.mark.parametrize("pieces", [1, 7])
def test_a_head_is_measured_to_the_byte(live, size, status, pieces):
    head = b"GET /health HTTP/1.1\r\nConnection: close\r\nX: "
    head += b"a" * (size - len(head) - 4) + b"\r\n\r\n"
    with dial(live) as place:
        for at in range(0, size, size // pieces + 1):
            place.sendall(head[at : at + size // pieces + 1])
        assert statuses(read_all(place)) == [status]


@pytest.mark.parametrize(("number", "status"), [(MAX_FIELDS - 1, 200), (MAX_FIELDS + 5, 431)])
def test_headers_are_counted(live, number, status):
    with dial(live, b"GET /health HTTP/1.1\r\nConnection: close\r\n" + fields(number) + b"\r\n") as place:
        assert statuses(read_all(place)) == [status]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4",  # TLS
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"get /health HTTP/1.1\r\n",
        b"GET /health HTTP/1.1\nHost: x\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        CHUNKED + b"zz\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", HEALTH])
def test_what_cannot_become_a_request_is_not_waited_for(live, before, data):
    with dial(live, before + data) as place:
        assert statuses(read_all(place)) == [200] * bool(before) + [400]


def test_fields_of_a_trailer_are_no_headers(strict, live):
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    trailer = b"0\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\n\r\n"
    with dial(strict, head + b"Content-Type: application/json\r\n\r\n" + CHUNK + trailer) as place:
        assert statuses(read_all(place)) == [401]
    with dial(live, head + b"\r\n" + CHUNK + trailer) as place:
        assert statuses(read_all(place)) == [415]


# Any split, any order

REQUESTS = [
    (PREDICT, 200),
    (HEALTH, 200),
    (CHUNKED + CHUNK + b"0\r\n\r\n", 200),
    (CHUNKED + b'5;a=b\r\n{"inp\r\nc\r\nuts": "a b"}\r\n0\r\nX: y\r\n\r\n', 200),
    (POST + b"Content-Length: 4\r\n\r\n\r\n\r\n", 400),
    (CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n", 400),
    (b"\r\n\r\n" + HEALTH, 200),
    (POST.replace(b"json", b"text") + b"Content-Length: 60\r\n\r\n" + HEALTH.ljust(60), 415),
    (HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUPGRADE : h2c\r\n\r\n").replace(b" :", b":"), 200),
]


@pytest.mark.parametrize("seed", range(12))
def test_requests_are_answered_in_order_however_they_are_split(live, seed):
    draw = random.Random(seed)
    chosen = [draw.choice(REQUESTS) for _ in range(8)]
    data = b"".join(request for request, _ in chosen) + HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    cuts = sorted(draw.sample(range(1, len(data)), draw.choice([0, 1, 5, 40])))
    with dial(live) as place:
        place.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begin, end in zip([0, *cuts], [*cuts, len(data)]):
            place.sendall(data[begin:end])
            time.sleep(draw.choice([0, 0, 0.002]))
        answer = read_all(place)
    assert statuses(answer) == [status for _, status in chosen] + [200]


# Offers of another protocol

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"


@pytest.mark.parametrize("offer", [OFFER, OFFER.lower(), OFFER.upper(), OFFER.replace(b"h2c", b"websocket")])
@pytest.mark.parametrize("pause", [0, 0.01])
def test_an_offer_of_another_protocol_is_ignored(live, offer, pause, caplog):
    request = POST + offer
    with dial(live, request[: -len(offer) // 2]) as place:
        time.sleep(pause)
        place.sendall(request[-len(offer) // 2 :] + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
        place.sendall(POST + offer + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK + b"0\r\n\r\n")
        place.sendall(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = read_all(place)
    assert statuses(answer) == [200, 200, 200]
    assert answer.count(b'"label"') == 4
    assert not warnings(caplog)


# Clients that do not read, or do not go on


@pytest.mark.parametrize("request_", [PAGE * 300, PAGE * 60, PREDICT.replace(b"predict", b"") + PAGE * 100])
def test_a_client_that_does_not_read_is_disconnected(strict, request_):
    with ExitStack() as stack:
        places = [stack.enter_context(dial(strict, request_, buffer=2048)) for _ in range(5)]
        until(lambda: len(strict._server.server_state.connections) >= 1)
        until(lambda: not strict._server.server_state.connections)
        with pytest.raises(OSError):
            for place in places:
                for _ in range(3):
                    place.sendall(b"x" * 100)
                    time.sleep(0.01)
    assert strict.get("/health")[0] == 200


def test_few_answers_are_made_for_a_client_that_reads_nothing():
    """The system would keep megabytes of them for each connection, and making them delayed others for seconds."""
    server, made = Live(), []
    answer = server.app

    async def count(scope, receive, send):
        made.append(scope["type"])
        await answer(scope, receive, send)

    server.app = count
    with server, dial(server, PAGE * 300, buffer=2048):
        connections = server._server.server_state.connections
        until(lambda: any(connection.flow.write_paused for connection in list(connections)))
        assert 2 <= made.count("http") <= 6


def test_a_client_that_reads_slowly_gets_everything(strict):
    with dial(strict, PAGE * 9 + PAGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), buffer=2048) as place:
        received = b""
        began = time.monotonic()
        while part := place.recv(16384):
            received += part
            if time.monotonic() < began + 1:
                time.sleep(0.005)
    assert statuses(received) == [200] * 10
    assert received.endswith(b"</html>\n") or b"</html>" in received[-100:]


@pytest.mark.parametrize(
    "data",
    [b"", b"G", HEALTH[:-2], b"\r\n", HEALTH + b"GET /", POST.replace(b"json", b"x") + b"Content-Length: 9\r\n\r\n"],
)
def test_a_client_that_does_not_go_on_is_disconnected(strict, data):
    with dial(strict, data) as place:
        answer = read_all(place)
    assert set(statuses(answer)) <= {200, 401, 415}


@pytest.mark.parametrize("rest", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5;"])
def test_a_body_that_does_not_end_is_not_waited_for(strict, rest):
    with dial(strict, POST + b"Authorization: Bearer k\r\n" + rest) as place:
        assert statuses(read_all(place)) == [408]


# Many connections


def test_a_new_connection_ends_the_one_that_is_idle_longest():
    with Live(http=HttpSettings("tiny", max_connections=4)) as server, ExitStack() as stack:
        for data in (b"", b"GET /hea", POST + b"Content-Length: 9\r\n\r\n", PAGE * 300):
            places = [stack.enter_context(dial(server, data, buffer=2048)) for _ in range(6)]
            until(lambda: server.get("/health")[0] == 200)  # 429 while all of them are still being answered
            assert len(server._server.server_state.connections) <= 5
            if data != PAGE * 300:
                closed, _, _ = select.select(places, [], [], 20)
                assert closed
                assert read_all(closed[0]) == b""


def test_connections_at_work_are_kept_and_a_new_one_is_rejected():
    with Live(http=HttpSettings("tiny", max_connections=3)) as server, ExitStack() as stack:
        with server.held():
            places = [stack.enter_context(dial(server, PREDICT)) for _ in range(3)]
            until(lambda: server.service.info()["under_way"] == 3)
            with dial(server, HEALTH) as place:
                answer = read_all(place)
            assert statuses(answer) == [429]
            assert b"retry-after: 1" in answer
            assert b"--max-connections" in answer
        assert all(statuses(place.recv(1000)) == [200] for place in places)


def test_descriptors_bound_the_connections(monkeypatch):
    from elbert.serving.http import connection

    monkeypatch.setattr(connection, "count_descriptors", lambda: 100)
    assert connection.ServerConfig(None, HttpSettings()).max_connections == 100 - connection.SPARE_DESCRIPTORS
    monkeypatch.setattr(connection, "count_descriptors", lambda: 10)
    assert connection.ServerConfig(None, HttpSettings()).max_connections == 1


# One direction closed


@pytest.mark.parametrize("work_seconds", [0, 0.4])
@pytest.mark.parametrize("ahead", [b"", HEALTH, HEALTH + b"GET /hea"])
@pytest.mark.parametrize("accept", [b"", b"Accept: application/x-ndjson\r\n"])
def test_a_half_closed_client_is_answered(live, work_seconds, ahead, accept):
    request = POST.replace(b"/predict", b"/v1/classify") + accept + b"Content-Length: 17\r\n\r\n" + b'{"inputs": ["a"]}'
    with live.held(), dial(live, request + ahead) as place:
        place.shutdown(socket.SHUT_WR)
        if work_seconds:
            time.sleep(work_seconds)
        live.backend.open.set()
        answer = read_all(place)
    assert statuses(answer) == [200] + [200] * (b"health" in ahead)
    assert b'"label"' in answer


def test_a_half_closed_client_that_goes_later_frees_its_rows(live):
    with live.held():
        place = dial(live, PREDICT)
        place.shutdown(socket.SHUT_WR)
        until(lambda: live.service.info()["under_way"] == 1)
        assert place.recv(1) == b"H"  # the system of a client that has closed answers this with a reset
        place.close()
        until(lambda: live.service.info()["under_way"] == 0)


@pytest.mark.parametrize("data", [b"GET /hea", POST + b"Content-Length: 9\r\n\r\n{", CHUNKED + b"5\r\n{"])
def test_half_a_request_of_a_half_closed_client_ends_the_connection(live, data):
    with dial(live, data) as place:
        place.shutdown(socket.SHUT_WR)
        assert read_all(place) == b""


# Requests sent ahead

LARGE = POST + b"Content-Length: 90000\r\n\r\n" + BODY.ljust(90_000)


@pytest.mark.parametrize("ahead", [b"", HEALTH, PAGE * 50, b"GET /hea", PREDICT, LARGE, LARGE * 20])
@pytest.mark.parametrize("leave", [reset, socket.socket.close])
def test_a_client_that_goes_frees_its_rows_whatever_it_sent_ahead(live, ahead, leave, caplog):
    before = live.counts()
    with live.held():
        place = dial(live, PREDICT + ahead)
        until(lambda: live.service.info()["under_way"] == 1)
        leave(place)
        until(lambda: live.service.info()["under_way"] == 0)
    after = live.counts()
    assert after["elbert_cancelled_total"] == before["elbert_cancelled_total"] + 1
    assert {n: v for n, v in after.items() if "failure" in n} == {n: v for n, v in before.items() if "failure" in n}
    assert not warnings(caplog)


@pytest.mark.parametrize("request_", [PAGE, PREDICT, HEALTH])
def test_a_client_that_sends_a_thousand_requests_and_goes_leaves_no_traces(live, request_, caplog):
    failures = {name: value for name, value in live.counts().items() if "failure" in name}
    for leave in (reset, socket.socket.close):
        leave(dial(live, request_ * 1000, buffer=2048))
    until(lambda: live.service.info()["under_way"] == 0 and len(live._server.server_state.connections) == 0)
    assert {name: value for name, value in live.counts().items() if "failure" in name} == failures
    assert not warnings(caplog)


def test_what_is_sent_ahead_is_bounded(live):
    with live.held(), dial(live, PREDICT + HEALTH * (MAX_AHEAD // len(HEALTH) + 1)) as place:
        time.sleep(0.05)
        live.backend.open.set()
        answer = read_all(place)
    assert statuses(answer) == [200]
    assert b"connection: close" in answer


# The end


def test_answers_of_a_server_that_stops_end_their_connections():
    with Live() as server, dial(server) as idle, dial(server, HEALTH) as place, dial(server) as busy:
        assert b"connection: close" not in place.recv(1000)
        with server.held():
            busy.sendall(PREDICT)
            until(lambda: server.service.info()["under_way"] == 1)
            server.loop.call_soon_threadsafe(server._server.begin_drain)
            stopping = server.loop.call_soon_threadsafe(lambda: server.loop.create_task(server.service.stop(5)))
            until(lambda: not server.service.is_ready)
            for one in (place, idle):
                one.sendall(PREDICT)
                answer = read_all(one)
                assert statuses(answer) == [503]
                assert b"connection: close" in answer
        answer = read_all(busy)
        assert statuses(answer) == [200]
        assert b"connection: close" in answer
        assert stopping


def test_a_request_on_its_way_is_answered_at_the_end():
    server = Live()
    with server:
        places = [dial(server) for _ in range(3)]
        until(lambda: len(server._server.server_state.connections) == 3)
        server.loop.call_soon_threadsafe(server._server.begin_drain)
        server._server.should_exit = True
        for place in places:
            place.sendall(HEALTH)
        answers = [read_all(place) for place in places]
    for place in places:
        place.close()
    assert [statuses(answer) for answer in answers] == [[200]] * 3
    assert all(b"connection: close" in answer for answer in answers)


def test_connections_that_wait_to_be_accepted_are_answered_at_the_end():
    server = Live()
    blocked, gate = threading.Event(), threading.Event()

    def block():
        blocked.set()
        gate.wait(20)

    with server:
        server.loop.call_soon_threadsafe(block)
        assert blocked.wait(20)
        places = [dial(server, HEALTH) for _ in range(20)]  # in the system's queue: the loop cannot accept them
        server._server.should_exit = True
        gate.set()
        answers = [read_all(place) for place in places]
    for place in places:
        place.close()
    assert [statuses(answer) for answer in answers] == [[200]] * 20
