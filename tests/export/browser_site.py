"""Pages written by ``elbert export --page``, served as plain files, and the npm packages that some tests need."""

import functools
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from browser import NODE_MODULES

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "shared" / "data"
SENTENCES = (HERE.parents[1] / "examples" / "reviews.txt").read_text(encoding="utf-8").splitlines()


def find_package(name):
    """The folder of an npm package; without it the test is skipped."""
    if not (NODE_MODULES / name / "package.json").is_file():
        pytest.skip(f"needs the npm package {name}: make node_modules/installed")
    return NODE_MODULES / name


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
