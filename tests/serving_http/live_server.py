"""A real server on a loopback port, in a thread, around a tiny model whose layer calls can be held or made to fail."""

import asyncio
import contextlib
import functools
import http.client
import json
import socket
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

from elbert.classifier import Classifier
from elbert.serving.http import HttpSettings, Metrics, application
from elbert.serving.http.server import Server, bind_socket, server_config
from elbert.serving.service import Service
from elbert.serving.settings import Settings
from tiny import write_bundle

POINTS = {
    "version": 1,
    "default": "safe",
    "points": {
        "safe": {"policy": "entropy(0.4)", "measured": {"mean_depth": 4.0}},
        "balanced": {"policy": "entropy(0.6)", "measured": {"mean_depth": 3.0}},
        "fast": {"policy": "depth(2)", "measured": {"mean_depth": 2.0}},
    },
}
JSON = {"content-type": "application/json"}


class Held:
    """A backend whose layer calls wait for ``open``, and fail or become NaN a set number of times."""

    def __init__(self, backend):
        self._backend = backend
        self.config, self.device = backend.config, backend.device
        self.open = threading.Event()
        self.open.set()
        self.failing = self.nan = self.steps = 0

    def embed(self, ids, type_ids, layout):
        return self._backend.embed(ids, type_ids, layout)

    def step(self, hidden, layout, group):
        self.open.wait(20)
        self.steps += 1
        if self.failing:
            self.failing -= 1
            raise RuntimeError("the layer fell over")
        hidden = self._backend.step(hidden, layout, group)
        if self.nan:
            self.nan -= 1
            hidden = torch.full_like(hidden, torch.nan)
        return hidden

    def read(self, hidden, layout, head):
        return self._backend.read(hidden, layout, head)


@functools.cache
def tiny_classifier(**changes):
    folder = write_bundle(Path(tempfile.mkdtemp()) / "tiny", seed=1, **({"points": POINTS} | changes))
    return Classifier.load(folder, dtype="float32", threads=1)


def held_classifier(**changes):
    sound = tiny_classifier(**changes)
    return Classifier(sound.bundle, sound.tokeniser, Held(sound.backend), sound.policy, max_rows=8, threads=1)


class Live:
    """A server that runs while inside ``with``."""

    def __init__(self, classifier=None, http=None, **settings):
        self.classifier = held_classifier() if classifier is None else classifier
        self.metrics = Metrics(self.classifier)
        self.service = Service(self.classifier, Settings(pause=0.001, **settings), observer=self.metrics)
        self.http = http or HttpSettings("tiny")
        self.app = application(self.service, self.http, self.metrics)
        self.backend = self.classifier.backend

    def __enter__(self):
        self._place = bind_socket("127.0.0.1", 0)
        self.port = self._place.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._up = threading.Event()
        self._server = Server(server_config(self.app, self.http), self._up.set)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._up.wait(30)
        return self

    def __exit__(self, *_):
        self.backend.open.set()
        self._server.should_exit = True
        self._thread.join(30)
        self._place.close()
        assert not self._thread.is_alive()

    async def _serve(self):
        self.loop = asyncio.get_running_loop()
        await self.service.start()
        await self._server.serve(sockets=[self._place])
        await self.service.stop(5)

    def on_loop(self, coroutine):
        """Run something where the service runs."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def call(self, method, path, body=None, headers=None):
        """``(status, headers, JSON or bytes)``; a body that is no bytes is sent as JSON."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, sent, {**(JSON if sent is not None else {}), **(headers or {})})
            answer = connection.getresponse()
            content = answer.read()
            received = {name.lower(): value for name, value in answer.getheaders()}
            as_json = received.get("content-type") == "application/json" and content
            return answer.status, received, json.loads(content) if as_json else content

    def post(self, path, body, **headers):
        """As :meth:`call`, for bodies; header names with underscores."""
        return self.call("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def get(self, path, **headers):
        return self.call("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})

    def connect(self, method, path, body=b"", **headers):
        """A raw socket on which a request was sent and nothing read."""
        place = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        head = {"host": "x", "content-length": len(body), **JSON, **extra}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value is not None)
        place.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        return place

    def counts(self):
        """Metrics as ``{'name{label="x"}': value}``."""
        lines = self.metrics_text().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def metrics_text(self):
        return self.call("GET", "/metrics")[2].decode()

    @contextlib.contextmanager
    def held(self):
        """While inside, layer calls wait."""
        self.backend.open.clear()
        try:
            yield
        finally:
            self.backend.open.set()


def until(condition, seconds=20):
    """Wait for something to come to pass."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.002)
    raise AssertionError("it did not come to pass")


def softmax(logits):
    powers = np.exp(np.asarray(logits, float) - np.max(logits))
    return powers / powers.sum()
