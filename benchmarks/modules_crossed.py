"""Count the modules of elbert that one text and one request enter: whose functions are called, in any thread.

    python benchmarks/modules_crossed.py

A text goes from ``Classifier.predict`` to its ``Prediction``, a request from the ASGI application to its answer; the
model is loaded and the service runs. Imports do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import elbert

ROOT = Path(elbert.__file__).parent


@contextmanager
def record_modules() -> Iterator[set[str]]:
    """Collect the files, relative to the package, whose functions run inside, in this thread and its threads."""
    entered: set[str] = set()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>" and frame.f_code.co_filename.startswith(str(ROOT)):
            entered.add(str(Path(frame.f_code.co_filename).relative_to(ROOT)))

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield entered
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def count_for_one_text() -> list[str]:
    """The modules that one text enters, from ``predict`` to its prediction."""
    classifier = elbert.Classifier.load()
    classifier.predict(["warm up"])
    with record_modules() as entered:
        classifier.predict(["A charming and often affecting journey."])
    return sorted(entered)


async def request_once(application: Any) -> None:
    """Send one ``POST /v1/classify`` to an ASGI application."""
    body = b'{"input": "A charming and often affecting journey."}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"}
    scope |= {"path": "/v1/classify", "raw_path": b"/v1/classify", "query_string": b"", "root_path": ""}
    scope |= {"headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    answers: list[Any] = []
    answered = asyncio.Event()

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answers.append(message)

    await application(scope, receive, send)
    answered.set()
    if answers[0]["status"] != 200:
        raise RuntimeError(f"the request failed: {answers}")


def count_for_one_request() -> list[str]:
    """The modules that one request to ``/v1/classify`` enters, from the application to the answer."""
    from elbert.serving.http import Metrics, application
    from elbert.serving.service import Service

    async def run() -> set[str]:
        with record_modules() as entered:  # before the service starts its threads
            classifier = elbert.Classifier.load()
            metrics = Metrics(classifier)
            service = Service(classifier, observer=metrics)
            app = application(service, metrics=metrics)
            await service.start()
            try:
                await request_once(app)
                entered.clear()
                await request_once(app)
                return set(entered)
            finally:
                await service.stop()

    return sorted(asyncio.run(run()))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name, modules in (("one text", count_for_one_text()), ("one request", count_for_one_request())):
        print(f"{name}: {len(modules)}", *modules, sep="\n  ")
