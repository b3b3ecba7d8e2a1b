"""One ONNX file that exits early against the unrolled graph: time, loading, size, memory.

    python benchmarks/onnx_loop.py [--shape bundled] [--data FILE] [--texts 256] [--rounds 5] [--threads 2]

``unrolled`` is transformers' model as torch.onnx writes it, quantised dynamically for int8 (scales per tensor);
``full`` our loop to the last depth; ``exits`` our loop with the model's own policy. Random shapes exit at a quarter of
the depths, by a policy that reads what a window reads. Batches are of like length, tokenised beforehand. Loading and
memory are measured in processes of their own, which load the file and answer one batch of 32 rows of 128 tokens;
``runtime`` is such a process without a file. Memory is read from Linux's /proc.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, get_args

from elbert.bundle import Bundle
from elbert.data import read_examples
from elbert.export import Dtype, export
from elbert.export.session import Session, pad_batch, split_chunks
from elbert.tokenization import Tokeniser, Tokens
from machine import keep
from peers import Workshop
from peers.onnx_files import exported, quantised
from rounds import interleaved
from shapes import SHAPES, folder_of, texts_of

BATCHES = (1, 32)
LOADS = 3
PROBE = """
import json, re, sys, time
from pathlib import Path
import numpy as np, onnxruntime
def peak():  # getrusage would report the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1e3
result = {}
if sys.argv[1]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = int(sys.argv[2]), 3
    start = time.perf_counter()
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    result["load_ms"] = (time.perf_counter() - start) * 1e3
    result["loaded_mb"] = peak()
    ids = np.random.default_rng(0).integers(1000, 20000, (32, 128))
    names = ("input_ids", "attention_mask", "token_type_ids")
    session.run(None, dict(zip(names, (ids, np.ones_like(ids), np.zeros_like(ids)))))
result["peak_mb"] = peak()
print(json.dumps(result))
"""


def files_of(folder: Path, cache: Path, threads: int) -> dict[str, Path]:
    """Everybody's file, by name."""
    workshop = Workshop(cache=cache, threads=threads)
    files = {"unrolled float32": exported(folder, workshop), "unrolled int8": quantised(folder, workshop)}
    bundle = Bundle.open(folder)
    depths = bundle.config.depths
    own = (
        str(bundle.resolve_policy()) if bundle.default else f"window(entropy=0.0, size={depths}) | depth({depths // 4})"
    )
    for dtype in get_args(Dtype):
        for name, policy in (("full", "full"), ("exits", own)):
            path = cache / f"{name}_{dtype}.onnx"
            files[f"{name} {dtype}"] = export(folder, policy, path, dtype=dtype, extra_outputs=name == "exits")
    return files


def contest(files: dict[str, Path], tokens: list[Tokens], rounds: int, threads: int) -> dict[str, Any]:
    """Milliseconds a text by batch, round by round in turn; and how deep the texts went."""
    sessions = {name: Session(file, threads=threads) for name, file in files.items()}
    result: dict[str, Any] = {"milliseconds_a_text": {}, "mean_depth": {}}
    for rows in BATCHES:
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i].ids))
        batches = [pad_batch([tokens[i] for i in some]) for some in split_chunks(order, rows)]
        runs = {name: partial(all_of, session, batches) for name, session in sessions.items()}
        seconds = interleaved(runs, rounds)
        result["milliseconds_a_text"][rows] = {name: taken / len(tokens) * 1e3 for name, taken in seconds.items()}
    for name, session in sessions.items():
        if name.startswith("exits"):
            depth = session.answer(tokens).depth
            result["mean_depth"][name] = float(depth.mean())
    return result


def all_of(session: Session, batches: list[Any]) -> None:
    """Run every batch."""
    for feeds in batches:
        session.run(feeds)


def probed(files: dict[str, Path], threads: int) -> dict[str, dict[str, float]]:
    """Medians over processes of their own, in turn."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in files}
    for _ in range(LOADS):
        for name, file in files.items():
            command = [sys.executable, "-c", PROBE, str(file) if file.is_file() else "", str(threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout))
    return {name: {key: statistics.median(p[key] for p in parts) for key in parts[0]} for name, parts in found.items()}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="bundled", choices=("bundled", *SHAPES))
    parser.add_argument("--data", help="a data file of texts (default: random common words)")
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        folder = folder_of(args.shape, Path(cache))
        files = files_of(folder, Path(cache), args.threads)
        texts = [e.content() for e in read_examples(args.data)] if args.data else texts_of(20, args.texts)
        tokens = Tokeniser.load(folder, Bundle.open(folder).config.max_position_embeddings).encode(texts[: args.texts])
        result = {
            "shape": args.shape,
            "texts": len(tokens),
            "mean_tokens": statistics.mean(len(row.ids) for row in tokens),
            "rounds": args.rounds,
            "threads": args.threads,
            "megabytes": {name: file.stat().st_size / 1e6 for name, file in files.items()},
            **contest(files, tokens, args.rounds, args.threads),
            "processes": probed({"runtime": Path()} | files, args.threads),
        }
    show(result)
    print(f"kept in {keep(f'onnx_{args.shape}', result)}")


def show(result: dict[str, Any]) -> None:
    """A line each, and ratios to the unrolled graph in float32."""
    base = result["processes"]["runtime"]["peak_mb"]
    for name, size in result["megabytes"].items():
        probe, taken = result["processes"][name], result["milliseconds_a_text"]
        times = ", ".join(
            f"batch {rows} {of[name]:.2f} ms a text ({of['unrolled float32'] / of[name]:.2f}x)"
            for rows, of in taken.items()
        )
        memory = f"load {probe['load_ms']:.0f} ms, memory +{probe['peak_mb'] - base:.0f} MB"
        depth = result["mean_depth"].get(name)
        print(f"{name}: {size:.1f} MB, {memory}, {times}" + (f", mean depth {depth:.2f}" if depth else ""))


if __name__ == "__main__":
    main()
