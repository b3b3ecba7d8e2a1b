"""Pages written by ``elbert export --page``, served as plain files, and the npm packages that some tests need."""

import functools
import json
import re
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from browser import NODE_MODULES, wait_until
from elbert.export.browser import RUNTIME_FILES

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "shared" / "data"
SENTENCES = (HERE.parents[1] / "examples" / "reviews.txt").read_text(encoding="utf-8").splitlines()

SHOWN = """() => {
  const text = (id) => document.getElementById(id).textContent;
  return [text("answer"), Number(text("where").match(/depth (\\d+) of/)[1]), text("why"), text("answer-score")];
}"""


def find_package(name):
    """The folder of an npm package; without it the test is skipped."""
    if not (NODE_MODULES / name / "package.json").is_file():
        pytest.skip(f"needs the npm package {name}: make node_modules/installed")
    return NODE_MODULES / name


def write_runtime(package):
    """A folder with files that are called as onnxruntime-web's are."""
    (package / "dist").mkdir(parents=True)
    for name in RUNTIME_FILES:
        (package / "dist" / name).write_text(name)
    return package


def data_of(page):
    """What Python wrote into a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"))
    return json.loads(found[1])


@functools.cache
def real_texts(each, most=1000):
    """``each`` texts, spread evenly, of every column of texts in every data file, ``most`` characters of each."""
    import pyarrow.parquet as pq

    found = []
    for file in sorted(DATA.glob("*/*.parquet")):
        table = pq.read_table(file, columns=[c for c in pq.read_schema(file).names if c in ("text", "text_pair")])
        for name in table.column_names:
            column = table.column(name)
            spread = column.take(list(range(0, len(column), max(1, len(column) // each)))[:each])
            found += [text[:most] for text in spread.to_pylist() if text]
    return found


class QuietHandler(SimpleHTTPRequestHandler):
    """A server of static files without a log."""

    extra_headers = ()

    def end_headers(self):
        for name, value in self.extra_headers:
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_):
        pass


class IsolatedHandler(QuietHandler):
    """A server with the headers that browsers need before they start threads."""

    extra_headers = (("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Embedder-Policy", "require-corp"))


@contextmanager
def serve_folder(folder, server=QuietHandler):
    """A folder on a free port of this machine; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(server, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def classify(page, text):
    """``[answer, depth, why, score]`` that the page shows for a text."""
    page.fill("#text", text)
    page.press("#text", "Enter")
    wait_until(page, "document.getElementById('result').getAttribute('aria-busy') === 'false'", 60)
    return page.evaluate(SHOWN)
