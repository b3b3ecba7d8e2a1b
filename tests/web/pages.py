"""The pages' scripts in V8, and the system's Chromium."""

import json
import shutil
import socket
import threading
import time
from contextlib import contextmanager
from importlib.resources import files

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WEB = files("elbert.web")


def script(*names):
    """The text of scripts, one after the other, as a page would hold them."""
    return "\n".join(WEB.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in names)


class Engine:
    """V8 with some of the scripts loaded; there is no page in it."""

    def __init__(self, *names):
        from py_mini_racer import MiniRacer

        self.engine = MiniRacer()
        self.engine.eval(script(*names))

    def __call__(self, function, *values):
        """The value of a JavaScript function ``(...values) => value``, carried over as JSON."""
        given = json.dumps(json.dumps(values))
        return json.loads(self.engine.eval(f"JSON.stringify(({function})(...JSON.parse({given})))"))


def chromium():
    """The path of the system's browser, if it has one."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def serving(application):
    """An application on a free port of this machine, in a thread; gives its address."""
    import uvicorn

    place = socket.socket()
    place.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(application, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{place.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        place.close()


@contextmanager
def browser():
    """The system's browser, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield started
        started.close()


def until(page, expression, seconds=20):
    """Wait for a JavaScript expression to hold; the pages' own security policy forbids Playwright's way to wait."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            raise AssertionError(f"never came true: {expression}")
        page.wait_for_timeout(50)
