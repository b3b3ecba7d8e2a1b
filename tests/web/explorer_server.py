"""The explorer's server on a free port, in a thread."""

import asyncio
import contextlib
import http.client
import json
import threading
from contextlib import contextmanager

from elbert.serving.http import HttpSettings, Metrics, application, explorer_application
from elbert.serving.http.served_model import ServedModel
from elbert.serving.http.server import Server, bind_socket, server_config
from elbert.serving.service import Service
from elbert.serving.settings import Settings

JSON = {"content-type": "application/json"}


@contextmanager
def run_explorer(classifier, evaluation=None):
    """``elbert explore`` without its command; yields the address."""
    service = Service(classifier, Settings(shutdown_timeout=1.0))
    with _run([service], explorer_application(service, evaluation)) as address:
        yield address


@contextmanager
def run_models(classifiers):
    """``elbert serve`` with several models by name, without its command; yields the address."""
    first, *others = [
        ServedModel(Service(one, Settings(shutdown_timeout=1.0)), HttpSettings(served_model_name=name), Metrics(one))
        for name, one in classifiers.items()
    ]
    app = application(first.service, first.settings, first.metrics, others=others)
    with _run([model.service for model in (first, *others)], app) as address:
        yield address


@contextmanager
def _run(services, app):
    ready = threading.Event()
    server = Server(server_config(app), ready.set)

    async def serve(bound):
        for service in services:
            await service.start()
        await server.serve(sockets=[bound])
        for service in services:
            await service.stop()

    with bind_socket("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=lambda: asyncio.run(serve(bound)), daemon=True)
        thread.start()
        assert ready.wait(30)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(30)


class Client:
    """Calls the server at an address."""

    def __init__(self, address):
        self._host = address.removeprefix("http://").rstrip("/")

    def call(self, method, path, body=None, headers=None):
        """``(status, headers, JSON or text)``; a body that is no bytes is sent as JSON."""
        with contextlib.closing(http.client.HTTPConnection(self._host, timeout=60)) as connection:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, content, headers or {})
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            text = answer.read().decode()
            return (
                answer.status,
                received,
                json.loads(text) if received["content-type"] == JSON["content-type"] else text,
            )

    def get(self, path, **headers):
        return self.call("GET", path, None, headers)

    def classify(self, **body):
        return self.call("POST", "/v1/classify", body, JSON)
