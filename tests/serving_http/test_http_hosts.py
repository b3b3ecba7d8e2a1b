"""Host names of requests: a page elsewhere can point its own name at this machine."""

import socket

import pytest
from live_server import Live

from elbert.serving.http import HttpSettings, application
from elbert.serving.http.server import bind_socket, is_loopback

LOCAL = ["127.0.0.1", "127.0.0.1:80", "localhost:3000", "LOCALHOST", "[::1]:80", "127.1.2.3", "desktop", "desktop:3000"]
FOREIGN = [
    "evil.example",
    "evil.example:3000",
    "127.0.0.1.evil.example",
    "localhost.evil",
    "10.0.0.1",
    "",
    "[::2]",
    "127.0.0.1:80@evil.example",
    "evil.example/localhost",
    "localhost:evil.example",
]


class Guarded(Live):
    """A server as ``elbert serve`` starts it on a loopback address without a key."""

    def __init__(self, *allowed):
        super().__init__(http=HttpSettings("tiny", allowed_host=allowed))
        self.app = application(self.service, self.http, loopback_only=True)


@pytest.fixture(scope="module")
def guarded():
    with Guarded() as server:
        yield server


@pytest.mark.parametrize("host", LOCAL)
def test_names_of_this_machine(guarded, host):
    assert guarded.get("/info", host=host)[0] == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_names_of_others(guarded, host):
    for method, path, body in (("GET", "/info", None), ("POST", "/v1/classify", {"inputs": ["a"]}), ("GET", "/", None)):
        status, _, answer = guarded.call(method, path, body, {"host": host})
        assert (status, answer["error_type"]) == (403, "Forbidden")
        assert "--allowed-host" in answer["error"]


def test_a_program_that_names_no_host_is_no_browser(guarded):
    for hosts, status in ((b"", b"200"), (b"Host: localhost\r\nHost: evil.example\r\n", b"403")):
        with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as place:
            place.sendall(b"GET /info HTTP/1.0\r\n" + hosts + b"\r\n")
            assert status in place.recv(100)


def test_names_that_are_allowed():
    with Guarded("Api.Example", "10.0.0.1") as server:
        for host in (*LOCAL, "api.example", "API.example:8080", "10.0.0.1:80"):
            assert server.get("/info", host=host)[0] == 200
        for host in ("evil.example", "x.api.example", "10.0.0.2"):
            assert server.get("/info", host=host)[0] == 403
    with Guarded("*") as server:
        assert server.get("/info", host="evil.example")[0] == 200


def test_a_name_that_is_allowed_excludes_others_wherever_the_server_listens():
    with Live(http=HttpSettings("tiny", allowed_host=("api.example",))) as server:
        assert server.get("/info", host="api.example")[0] == 200
        assert server.get("/info", host="evil.example")[0] == 403


def test_without_a_setting_and_on_every_address_any_name_is_taken(live):
    assert live.get("/info", host="api.example")[0] == 200


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", True), ("127.0.0.5", True), ("0.0.0.0", False)])
def test_loopback_addresses(host, expected):
    with bind_socket(host, 0) as place:
        assert is_loopback(place) is expected
