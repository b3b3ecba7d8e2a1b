"""Pages written by ``elbert export --page``, served as plain files, and the npm packages that some tests need."""

import functools
import os
import sys
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "web"))  # where pages.py lies: the system's browser, V8

DATA = HERE.parents[2] / "shared" / "data"
SENTENCES = (HERE.parents[1] / "examples" / "reviews.txt").read_text(encoding="utf-8").splitlines()


def npm(package):
    """The folder of an npm package; without it the test is skipped."""
    modules = Path(os.environ.get("ELBERT_NODE_MODULES", HERE / "node_modules"))
    if not (modules / package / "package.json").is_file():
        pytest.skip(f"no npm package {package}: npm install --prefix tests/export --ignore-scripts")
    return modules / package


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


class Quiet(SimpleHTTPRequestHandler):
    """A server of static files that tells nobody what it served."""

    more = ()

    def end_headers(self):
        for name, value in self.more:
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_):
        pass


class Isolated(Quiet):
    """One that sends the headers without which browsers give no threads."""

    more = (("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Embedder-Policy", "require-corp"))


@contextmanager
def static(folder, server=Quiet):
    """A folder on a free port of this machine; gives its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(server, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
