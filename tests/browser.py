"""The pages' scripts in V8, the system's Chromium, and servers on free ports."""

import json
import os
import re
import shutil
import socket
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NODE_MODULES = Path(os.environ.get("ELBERT_NODE_MODULES", Path(__file__).parents[1] / "node_modules"))


AXE = """async (rules) => {
  const runOnly = rules && {type: 'rule', values: rules};
  const found = await axe.run(document, {resultTypes: ['violations'], ...(rules ? {runOnly} : {})});
  return found.violations.filter(({impact}) => impact === 'serious' || impact === 'critical')
    .map(({id, nodes}) => `${id}: ${nodes.slice(0, 3).map((node) => node.html).join(' ')}`);
}"""


class Engine:
    """V8 with modules and what they import, each as the object ``$<file name>``; there is no page in it."""

    def __init__(self, *modules, content="probabilities"):
        from py_mini_racer import MiniRacer

        from elbert.exits.encoding import policy_table
        from elbert.web import read_source, write_table
        from elbert.web.scripts import bundle_script

        exports = {
            module: re.search(r"^export (?:async )?\w+ (\w+)", read_source(module), re.MULTILINE)[1]
            for module in modules
        }
        entry = "".join(f'import {{ {name} }} from "./{module}";\n' for module, name in exports.items())
        self.engine = MiniRacer()
        self.engine.eval(write_table(policy_table(content)))
        self.engine.eval(bundle_script("main.js", lambda path: entry if path == "main.js" else read_source(path)))

    def __call__(self, function, *values):
        """The value of a JavaScript function ``(...values) => value``, carried over as JSON."""
        arguments = json.dumps(json.dumps(values))
        return json.loads(self.engine.eval(f"JSON.stringify(({function})(...JSON.parse({arguments})))"))


def find_chromium():
    """The path of the system's browser, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def find_node():
    """The path of Node: the one that pip installed beside Python, else the system's; or None."""
    beside = Path(sys.executable).with_name("node")
    return str(beside) if beside.is_file() else shutil.which("node")


@contextmanager
def run_server(application):
    """An application on a free port of this machine, in a thread; yields its address."""
    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(application, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()


@contextmanager
def run_browser():
    """The system's browser, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        yield browser
        browser.close()


def wait_until(page, expression, seconds=20):
    """Wait for a JavaScript expression to hold; the pages' own security policy forbids Playwright's way to wait."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            raise AssertionError(f"never came true: {expression}")
        page.wait_for_timeout(20)


def check_accessibility(page, axe):
    """No serious finding of axe, whose script is `axe`, in the page as it is, light and dark."""
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    page.evaluate(axe)
    for scheme, rules in (("light", None), ("dark", ["color-contrast"])):  # only colours differ
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(AXE, rules) == [], scheme
