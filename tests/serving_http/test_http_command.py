"""``elbert serve`` as a process: it says where it is, answers, and ends as it should."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from functools import partial

import pytest
from live_server import JSON, POINTS, until

from tiny import texts, write_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("served") / "tiny", points=POINTS, num_hidden_layers=12)


LOADING = re.compile(r"^elbert: loading .+; a line says when requests are accepted\n", re.MULTILINE)  # if it is slow


class Process:
    """The command, while inside ``with``; ``stream`` has the lines that say where it is, ``lines`` all until then."""

    def __init__(self, *arguments, stream="stdout", **environment):
        command = [sys.executable, "-m", "elbert.cli.main", "serve", "--port", "0", *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "WARM_UP": "0", **environment},
        )
        self.lines = []
        for line in getattr(self.process, stream):
            self.lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                break
        else:
            raise AssertionError((self.lines, self.process.communicate(timeout=60)))
        self.port, self.line = int(found[1]), self.lines[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def call(self, method, path, body=None):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), JSON)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, LOADING.sub("", err)


def test_it_says_where_it_is_answers_and_ends(folder):
    with Process("--model", folder, "--threads", 1, "--served-model-name", "mine", PAYLOAD_LIMIT="500") as server:
        assert server.line.startswith("serving mine at http://127.0.0.1:")
        assert "operating point safe" in server.line
        assert server.call("GET", "/ready")[0] == 200
        status, body = server.call("POST", "/v1/classify", {"inputs": ["a good film"]})
        assert (status, json.loads(body)["model"]) == (200, "mine")
        assert server.call("POST", "/predict", {"inputs": "a" * 600})[0] == 413
        assert server.end() == (0, "", "")


def test_under_load_nothing_that_was_accepted_is_lost(folder):
    sentences = [text or "a" for text in texts(32, seed=3)]
    statuses, go_on = [], threading.Event()
    go_on.set()

    def client(server):
        while go_on.is_set():
            try:
                statuses.append(server.call("POST", "/v1/classify", {"inputs": sentences, "policy": "full"}))
            except (ConnectionError, http.client.RemoteDisconnected) as error:
                statuses.append((type(error), b""))
                return

    with Process("--model", folder, "--threads", 1) as server:
        clients = [threading.Thread(target=client, args=(server,)) for _ in range(6)]
        for thread in clients:
            thread.start()
        until(lambda: sum(status == 200 for status, _ in statuses) > 12, 60)
        status, out, err = server.end()
        go_on.clear()
        for thread in clients:
            thread.join(60)
    assert (status, out, err) == (0, "", "")
    for found, body in statuses:
        assert found in (200, 503) or issubclass(found, ConnectionError), found
        if found == 200:
            assert [item["error"] for item in json.loads(body)["data"]] == [None] * 32, "accepted, and not answered"


def test_json_output_logs_json_and_so_is_the_first_line(folder):
    with Process("--model", folder, "--json-output", stream="stderr") as server:
        assert json.loads(server.line)["operating_point"] == "safe"
        server.call("POST", "/predict", {"inputs": "a good film"})
        status, out, err = server.end(signal.SIGINT)
    lines = [json.loads(line) for line in [*server.lines, *err.splitlines()]]
    assert (status, out) == (0, ""), "all lines of the log are on one stream"
    assert [line["route"] for line in lines if line["message"] == "request"] == ["/predict"]


@pytest.mark.parametrize("is_json", [False, True])
def test_of_several_models_each_is_named_with_its_point(folder, tmp_path, is_json):
    other = write_bundle(tmp_path / "other", seed=2)
    arguments = ["--model", f"a={folder}", "--model", f"b={other}", *["--json-output"] * is_json]
    with Process(*arguments, stream="stderr" if is_json else "stdout") as server:
        if is_json:
            assert json.loads(server.line)["models"] == {"a": "safe", "b": "full"}
        else:
            assert "serving a, b at http" in server.line
            assert "(operating points a: safe, b: full;" in server.line


@contextlib.contextmanager
def much_to_do(*arguments):
    """The bundled model, with seconds of work, after SIGTERM."""
    body = {"inputs": ["film " * 600] * 32, "policy": "full"}
    with Process("--threads", 1, *arguments) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("POST", "/v1/classify", json.dumps(body), JSON)
        until(lambda: json.loads(server.call("GET", "/info")[1])["elbert"]["under_way"] == 32)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.call("GET", "/ready")[0] == 503)
        assert server.call("GET", "/health")[0] == 200
        assert server.call("POST", "/predict", {"inputs": "a"})[0] == 503
        yield server
        connection.close()


def test_a_second_signal_ends_it_at_once():
    with much_to_do("--shutdown-timeout", 60) as server:
        assert server.end()[0] == 128 + signal.SIGTERM


def test_when_the_time_is_up_it_ends_and_says_so():
    with much_to_do("--shutdown-timeout", 0.5) as server:
        assert server.process.wait(60) == 1
        assert "--shutdown-timeout 0.5" in server.process.stderr.read()


def test_on_this_machine_it_answers_to_names_of_this_machine(folder):
    with Process("--model-id", folder, HOSTNAME="login01.cluster.example") as server:
        for host, status in (("localhost", 200), ("evil.example", 403)):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
                connection.request("GET", "/info", headers={"host": host})
                assert connection.getresponse().status == status
        status, _, error = server.end()
    assert status == 0
    assert (
        error == "elbert: HOSTNAME is the name of a machine, 'login01.cluster.example', and ignored; see --hostname\n"
    )


@pytest.mark.parametrize("is_json", [False, True])
def test_loading_that_takes_long_is_not_silent(folder, is_json):
    """A server in this process, whose model is loaded slowly, until it is stopped by an error."""
    script = (
        "import time; from elbert.cli.commands import serve; from elbert.cli.main import main\n"
        "def slow(*model):\n    time.sleep(3)\n    raise serve.InputError('enough')\n"
        f"serve.load_model = slow; raise SystemExit(main(['serve', '--port', '0', '--model-id', {str(folder)!r}, "
        f"*{['--json-output'] * is_json}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    first, last = done.stderr.splitlines()
    message = f"loading {folder}; a line says when requests are accepted"
    if is_json:
        assert (json.loads(first)["level"], json.loads(first)["message"]) == ("info", message)
        assert json.loads(last)["message"] == "enough"
    else:
        assert (first, last) == (f"elbert: {message}", "elbert: error: enough")
    assert done.returncode == 2


def test_on_a_unix_socket_it_answers_loads_again_and_removes_the_socket(folder, tmp_path):
    path = tmp_path / "elbert.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))  # as a killed server leaves it
    model = tmp_path / "model"
    model.symlink_to(folder)
    command = [sys.executable, "-m", "elbert.cli.main", "serve", "--unix-socket", path, "--model-id", f"mine={model}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WARM_UP": "0", "HOSTNAME": ""}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    options["preexec_fn"] = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)  # nohup, too, may run the tests
    with subprocess.Popen([*map(str, command), "--json-output"], start_new_session=True, **options) as server:
        try:
            first = next(line for line in map(json.loads, server.stderr) if line["message"] == "serving")
            assert (first["address"], first["model"]) == (f"unix:{path}", "mine")
            assert first["models"] == {"mine": first["operating_point"]}

            def call(method, route, body=None):
                with contextlib.closing(http.client.HTTPConnection("localhost", timeout=60)) as connection:
                    connection.sock = socket.socket(socket.AF_UNIX)
                    connection.sock.connect(str(path))
                    connection.request(method, route, None if body is None else json.dumps(body), JSON)
                    answer = connection.getresponse()
                    return answer.status, json.loads(answer.read())

            assert call("POST", "/v1/classify", {"input": "a good film"})[0] == 200
            server.send_signal(signal.SIGHUP)
            messages = []
            for line in map(json.loads, server.stderr):
                messages += [line["message"]] if line["logger"] == "elbert.operations" else []
                if messages and messages[-1].startswith("the reload has ended"):
                    break
            assert [message[:30] for message in messages] == [
                "the models and the API keys are read again"[:30],
                "the model mine is loaded again",
                "the reload has ended; models l",
            ]
            assert call("POST", "/v1/classify", {"input": "a good film"})[0] == 200
            server.terminate()
            _, err = server.communicate(timeout=60)
            assert [json.loads(line)["level"] for line in err.splitlines()] == ["info"] * len(err.splitlines())
            assert server.returncode == 0
            assert not path.exists()
        finally:
            server.kill()


def test_with_a_key_or_an_allowed_name_it_answers_to_it(folder):
    with Process("--model-id", folder, API_KEY="k", ALLOWED_HOST="api.example") as server:
        for host, status in (("api.example", 401), ("evil.example", 403)):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
                connection.request("GET", "/info", headers={"host": host})
                assert connection.getresponse().status == status
