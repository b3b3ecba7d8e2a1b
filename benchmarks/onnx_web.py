"""The file that exits early in a browser: onnxruntime-web in the system's Chromium, beside native onnxruntime.

    python benchmarks/onnx_web.py --onnxruntime-web FOLDER [--data FILE] [--texts 24] [--rounds 3]

``full`` runs every depth, ``exits`` the bundled model's own policy; one text at a time, tokens ready. ``native``
is onnxruntime on one thread, ``web`` WebAssembly as any static server gives it (one thread), ``web threads`` what a
server gives that sends the two headers of cross-origin isolation. ``start`` is a fresh page's time from asking for
the file to the first answer, everything served by this machine; ``load`` is a second session's time from bytes.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import statistics
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from elbert.bundle import Bundle
from elbert.data import read_examples
from elbert.export import export
from elbert.export.browser import RUNTIME_FILES, find_runtime
from elbert.export.session import Session
from elbert.tokenization import Tokens
from machine import keep
from rounds import interleaved
from shapes import texts_of

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
LOADS = 3
PAGE = """<!DOCTYPE html><link rel="icon" href="data:,"><script src="ort.wasm.min.js"></script><script>
const sessions = {};
let rows = [];
ort.env.logLevel = "error";
ort.env.wasm.numThreads = crossOriginIsolated ? navigator.hardwareConcurrency : 1;
const tensor = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
const feeds = (row) => ({
  input_ids: tensor(row.ids), attention_mask: tensor(row.ids.map(() => 1)), token_type_ids: tensor(row.types) });
const bytesOf = async (name) => new Uint8Array(await (await fetch(`${name}.onnx`)).arrayBuffer());
const made = (bytes) => ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
async function start(name) {
  const first = performance.now();
  const bytes = await bytesOf(name);
  sessions[name] = await made(bytes);
  await sessions[name].run(feeds(rows[0]));
  const then = performance.now();
  const again = await made(bytes);
  const load = performance.now() - then;
  await again.release();
  return { start: then - first, load };
}
async function all(name) {
  const depths = [];
  for (const row of rows) depths.push(Number((await sessions[name].run(feeds(row))).depth.data[0]));
  return depths;
}
</script>"""


@contextmanager
def served(folder: Path, headers: dict[str, str]) -> Iterator[str]:
    """A folder of static files with these headers; gives its address."""

    class Server(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            for name, value in headers.items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/page.html"
        finally:
            server.shutdown()
            thread.join()


def files_of(folder: Path) -> dict[str, Path]:
    """The bundled model, full and with its own policy, in both precisions."""
    found = {}
    for dtype in ("float32", "int8"):
        for name, policy in (("full", "full"), ("exits", None)):
            file = folder / f"{name}_{dtype}.onnx"
            found[f"{name} {dtype}"] = export(None, policy, file, dtype=dtype, extra_outputs=True)  # type: ignore[arg-type]
    return found


def opened(browser: Any, address: str, tokens: list[Tokens]) -> Any:
    """A fresh page that knows the texts."""
    page = browser.new_context().new_page()
    page.goto(address)
    page.evaluate("(values) => { rows = values; }", [{"ids": row.ids, "types": row.type_ids} for row in tokens])
    return page


def loads(browser: Any, address: str, files: dict[str, Path], tokens: list[Tokens]) -> dict[str, dict[str, float]]:
    """Medians over fresh pages, file by file in turn."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in files}
    for _ in range(LOADS):
        for name, file in files.items():
            page = opened(browser, address, tokens)
            found[name].append(page.evaluate("start", file.stem))
            page.context.close()
    return {name: {key: statistics.median(one[key] for one in some) for key in some[0]} for name, some in found.items()}


def contest(browser: Any, addresses: dict[str, str], files: dict[str, Path], tokens: list[Tokens], rounds: int) -> Any:
    """Milliseconds a text of every runtime in turn, and the mean depth that each reports."""
    runs: dict[str, Callable[[], object]] = {}
    depths: dict[str, float] = {}
    for name, file in files.items():
        session = Session(file, threads=1)
        runs[f"native {name}"] = functools.partial(session.answer, tokens, 1)
        depths[f"native {name}"] = float(session.answer(tokens, 1).depth.mean())  # type: ignore[union-attr]
        for where, address in addresses.items():
            page = opened(browser, address, tokens)
            page.evaluate("start", file.stem)
            runs[f"{where} {name}"] = functools.partial(page.evaluate, "all", file.stem)
            depths[f"{where} {name}"] = statistics.mean(page.evaluate("all", file.stem))
    seconds = interleaved(runs, rounds)
    return {name: taken / len(tokens) * 1e3 for name, taken in seconds.items()}, depths


def measured(args: argparse.Namespace, tokens: list[Tokens]) -> dict[str, Any]:
    """All of it."""
    from playwright.sync_api import sync_playwright

    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        for name in RUNTIME_FILES:
            shutil.copy(find_runtime(Path(args.onnxruntime_web)) / name, folder)
        (folder / "page.html").write_text(PAGE)
        files = files_of(folder)
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        with served(folder, {}) as plain, served(folder, ISOLATED) as isolated:
            page = opened(browser, isolated, tokens)
            threads = page.evaluate("ort.env.wasm.numThreads")
            page.context.close()
            taken, depths = contest(browser, {"web": plain, "web threads": isolated}, files, tokens, args.rounds)
            result = {
                "browser": browser.version,
                "threads": threads,
                "megabytes": {name: file.stat().st_size / 1e6 for name, file in files.items()},
                "runtime_megabytes": sum((folder / name).stat().st_size for name in RUNTIME_FILES) / 1e6,
                "milliseconds_to_load": loads(browser, plain, files, tokens),
                "milliseconds_a_text": taken,
                "mean_depth": depths,
            }
        browser.close()
        return result


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnxruntime-web", default="node_modules/onnxruntime-web", help="the npm package's folder")
    parser.add_argument("--data", help="a data file of texts (default: random common words)")
    parser.add_argument("--texts", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    texts = [e.content() for e in read_examples(args.data)] if args.data else texts_of(20, args.texts)
    tokens = Bundle.open().load_tokeniser().encode(texts[: args.texts])
    about = {"texts": len(tokens), "mean_tokens": statistics.mean(len(row.ids) for row in tokens)}
    result = {**about, "rounds": args.rounds, **measured(args, tokens)}
    show(result)
    print(f"kept in {keep('onnx_web', result)}")


def show(result: dict[str, Any]) -> None:
    """A line each, and how often as fast as every depth in float32 in the same place."""
    taken = result["milliseconds_a_text"]
    for name, milliseconds in taken.items():
        where = name.rsplit(" ", 2)[0]
        ratio = taken[f"{where} full float32"] / milliseconds
        print(f"{name}: {milliseconds:.2f} ms a text ({ratio:.2f}x), mean depth {result['mean_depth'][name]:.2f}")
    for name, found in result["milliseconds_to_load"].items():
        print(f"{name}: {result['megabytes'][name]:.1f} MB, start {found['start']:.0f} ms, load {found['load']:.0f} ms")


if __name__ == "__main__":
    main()
