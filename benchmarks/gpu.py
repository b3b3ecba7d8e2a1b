"""Correctness and speed of the engine on a CUDA device, as one prepared run of at most eight minutes.

    make gpu        (or: PYTHONPATH=src python benchmarks/gpu.py [--output FOLDER] [--minutes 7.5] [--toy])

Needs torch, transformers, tokenizers and safetensors, nothing else, and no network. The result, ``gpu.json``, is
written again after every section, so a run that is cut keeps what it has measured. ``--toy`` runs every section at
small sizes on the CPU: the test of this script.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elbert import Classifier, policy
from elbert.engine import Capacity
from elbert.evaluation.cost import count_flops
from elbert.exits import replay
from elbert.model import Backend, TorchBackend
from elbert.model.cuda import GraphReplay
from elbert.tokenization import Tokens
from machine import describe
from realised import serve
from scripted import POLICY, Scripted, script
from shapes import SHAPES, folder_of, texts_of

POLICIES = (  # at least one spec for every condition a policy can have
    *("full", "depth(1)", "depth(3)", "entropy(0.3)", "confidence(0.9)", "gap(0.8)", "patience(2)"),
    *("patient_confidence(2, 0.3)", "divergence(2, 0.01)", "window(entropy=0.1, size=4)"),
    *("window(entropy=0.05, size=4, rule=trend)", "window(entropy=0.05, size=4, rule=stable)"),
    *("entropy(0.1) | depth(6)", "tempered(entropy(0.2), 2)"),
)
TOLERANCE = {"float32": 2e-3, "bfloat16": 0.08}  # of probabilities, against float32 on the processor


@dataclass
class Run:
    """One run: the device, the sizes, the time that is left, and what has been found."""

    device: str
    output: Path
    cache: Path
    seconds: float
    is_toy: bool
    begin: float = field(default_factory=time.perf_counter)
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds until the time limit."""
        return self.begin + self.seconds - time.perf_counter()

    def keep(self, name: str, found: object) -> None:
        """Add a section's result and write the file again."""
        self.result[name] = found
        self.output.mkdir(parents=True, exist_ok=True)
        partial = self.output / "gpu.json.partial"
        partial.write_text(json.dumps(self.result, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.output / "gpu.json")

    def synchronise(self) -> None:
        """Wait for the device."""
        if self.device != "cpu":
            torch.cuda.synchronize()

    def time(self, work: Callable[[], object], least: float = 0.3, rounds: int = 5) -> float:
        """Median seconds of ``work`` over ``rounds`` rounds of ``least`` seconds, after one call to warm up."""
        least, rounds = (0.0, 1) if self.is_toy else (least, rounds)
        work()
        self.synchronise()
        taken = []
        for _ in range(rounds):
            begin, calls = time.perf_counter(), 0
            while calls == 0 or time.perf_counter() - begin < least:
                work()
                self.synchronise()
                calls += 1
            taken.append((time.perf_counter() - begin) / calls)
        return statistics.median(taken)


def measure_device(run: Run) -> dict[str, Any]:
    """The rates that bound everything: a large bfloat16 product, a copy, and the products of our shapes."""
    side = 128 if run.is_toy else 8192
    a, b = (torch.randn(side, side, device=run.device, dtype=torch.bfloat16) for _ in range(2))
    found: dict[str, Any] = {"matmul_tflops": 2 * side**3 / run.time(partial(torch.matmul, a, b)) / 1e12, "side": side}
    source = torch.empty(1 << (20 if run.is_toy else 30), dtype=torch.uint8, device=run.device)
    target = torch.empty_like(source)
    found["copy_gb_per_s"] = 2 * source.numel() / run.time(partial(target.copy_, source)) / 1e9
    tokens = 256 if run.is_toy else 65536
    for shape, (width, inner) in {"bundled": (384, 1536), "albert-base": (768, 3072)}.items():
        x = torch.randn(tokens, width, device=run.device, dtype=torch.bfloat16)
        weight = torch.randn(width, inner, device=run.device, dtype=torch.bfloat16)
        seconds = run.time(partial(torch.matmul, x, weight))
        found[f"{shape}: [{tokens}, {width}] x [{width}, {inner}] tflops"] = 2 * tokens * width * inner / seconds / 1e12
    return found


def check_correctness(run: Run) -> dict[str, Any]:
    """Probabilities against float32 on the processor, and exits against replays, graphs on and off."""
    found: dict[str, Any] = {"errors": []}
    folders = {"bundled": folder_of("bundled", run.cache), "two groups": build_grouped(run.cache)}
    for name, folder in folders.items():
        reference = Classifier.load(folder, "full", dtype="float32", device="cpu")
        batches = odd_batches(reference, *((24, 12) if run.is_toy else (reference.tokeniser.max_length, 70)))
        expected = [trace_of(reference, tokens) for tokens in batches]
        for dtype in ("float32",) if run.device == "cpu" else ("float32", "bfloat16"):
            classifier = Classifier.load(folder, "full", dtype=dtype, device=run.device)
            for graphs in (True, False):
                if not graphs and not disable_graphs(classifier.backend):
                    continue
                key = f"{name} {dtype} {'graphs' if graphs and uses_graphs(classifier.backend) else 'no graphs'}"
                found[key] = compare_traces(run, classifier, batches, expected)
                if found[key]["largest_difference"] > TOLERANCE[dtype]:
                    found["errors"].append(f"{key}: probabilities differ by {found[key]['largest_difference']:.4f}")
                found[key]["exits"] = compare_exits(classifier, batches)
                wrong = {spec: n for spec, n in found[key]["exits"].items() if n["exits_other"] > n["rows"] // 50}
                if wrong:
                    found["errors"].append(f"{key}: exits differ from the replay: {wrong}")
    return found


def build_grouped(cache: Path) -> Path:
    """A random ALBERT with two layer groups and an odd head width, whose rows cannot all share a call."""
    from transformers import AlbertConfig, AlbertForSequenceClassification

    folder, source = cache / "grouped", folder_of("bundled", cache)
    if not folder.exists():
        torch.manual_seed(1)
        sizes = {"hidden_size": 144, "num_attention_heads": 4, "intermediate_size": 320, "embedding_size": 48}
        config = AlbertConfig(vocab_size=30522, num_hidden_layers=6, num_hidden_groups=2, num_labels=3, **sizes)
        AlbertForSequenceClassification(config).save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).write_bytes((source / name).read_bytes())
    return folder


def odd_batches(classifier: Classifier, longest: int, more: int) -> list[list[Tokens]]:
    """One row, one token, the longest text, a mixture, and a mixture with ``more`` rows."""
    encode = classifier.tokeniser.encode
    long = texts_of(longest + 10, 1, seed=3)
    lengths = [words for words in (1, 2, 3, 7, 8, 9, 31, 33, 64, 100) if words <= longest]
    mixed = [text for words in lengths for text in texts_of(words, 3, seed=words)]
    return [
        encode(["good"]),
        encode([""]),
        encode(long),
        encode(mixed),
        encode([*long, *mixed, "", *texts_of(20, more)]),
    ]


def trace_of(classifier: Classifier, tokens: Sequence[Tokens]) -> np.ndarray[Any, Any]:
    """Probabilities of every depth: ``[rows, depths, classes]``."""
    rows: dict[int, Any] = {}
    for exits in classifier.exits(tokens, policy("full"), keep_trace=True):
        rows |= dict(zip(exits.identity.tolist(), exits.trace, strict=True))
    return np.stack([rows[row] for row in range(len(tokens))])


def compare_traces(
    run: Run, classifier: Classifier, batches: Sequence[Sequence[Tokens]], expected: Sequence[Any]
) -> dict[str, Any]:
    """Largest difference of a probability, and the share of rows whose last label differs."""
    differences, labels = [], []
    for tokens, right in zip(batches, expected, strict=True):
        trace = trace_of(classifier, tokens)
        differences.append(float(np.abs(trace - right).max()) if np.isfinite(trace).all() else float("inf"))
        labels += (trace[:, -1].argmax(-1) != right[:, -1].argmax(-1)).tolist()
    return {"largest_difference": max(differences), "rows": len(labels), "labels_other": int(sum(labels))}


def compare_exits(classifier: Classifier, batches: Sequence[Sequence[Tokens]]) -> dict[str, dict[str, int]]:
    """Rows whose live exit depth is not the one that a replay of the same device's probabilities gives."""
    found = {}
    traces = [trace_of(classifier, tokens) for tokens in batches]
    for spec in POLICIES:
        rows = other = 0
        for tokens, trace in zip(batches, traces, strict=True):
            live = {
                identity: depth
                for exits in classifier.exits(tokens, policy(spec))
                for identity, depth in zip(exits.identity.tolist(), exits.depth.tolist(), strict=True)
            }
            replayed = replay(trace, policy(spec))
            rows += len(tokens)
            other += sum(live[row] != int(replayed[row]) for row in range(len(tokens)))
        found[spec] = {"rows": rows, "exits_other": other}
    return found


def uses_graphs(backend: Backend) -> bool:
    """Whether steps are replayed from CUDA graphs."""
    return isinstance(backend, TorchBackend) and isinstance(backend._run, GraphReplay)


def disable_graphs(backend: Backend) -> bool:
    """Run every step eagerly from now on; False if it did already."""
    if not uses_graphs(backend):
        return False
    backend._run = backend._apply_layers  # type: ignore[attr-defined]
    return True


def shapes_of(run: Run) -> Iterator[tuple[str, Path]]:
    """The shapes to measure, with their folders."""
    for shape in ("bundled",) if run.is_toy else ("bundled", "albert-base"):
        yield shape, folder_of(shape, run.cache)


def dtype_of(run: Run) -> Any:
    """The precision to measure in."""
    return "float32" if run.device == "cpu" else "bfloat16"


def measure_throughput(run: Run) -> dict[str, Any]:
    """Full depth at 64 tokens: texts a second, and the share of the device's own matrix rate; transformers beside."""
    found: dict[str, Any] = {}
    rate = run.result["device"]["matmul_tflops"]
    for shape, folder in shapes_of(run):
        classifier = Classifier.load(folder, "full", dtype=dtype_of(run), device=run.device)
        config, number = classifier.bundle.config, 8 if run.is_toy else 16384
        tokens = classifier.tokeniser.encode(texts_of(62, number))
        flops = count_flops(config, 64, config.depths, reads=1) * number
        ways: dict[str, Callable[[], object]] = {}
        for rows in (4,) if run.is_toy else (256, 1024, 2048, 8192):
            capacity = Capacity(rows, rows * 64)
            ways[f"graphs, {rows} rows"] = partial(serve, classifier.backend, tokens, policy("full"), capacity)
        eager = Classifier.load(folder, "full", dtype=dtype_of(run), device=run.device)
        if disable_graphs(eager.backend):
            largest = Capacity(2048, 2048 * 64)
            ways["no graphs, 2048 rows"] = partial(serve, eager.backend, tokens, policy("full"), largest)
        ways["transformers, 256 rows"] = transformers_run(run, folder, tokens)
        found[shape] = {}
        for name, work in ways.items():
            if run.left < 60:
                break
            seconds = run.time(work, least=1.0, rounds=3)
            found[shape][name] = {
                "texts_per_second": number / seconds,
                "tflops": flops / seconds / 1e12,
                "share_of_matmul_rate": flops / seconds / 1e12 / rate,
            }
    return found


def transformers_run(run: Run, folder: Path, tokens: Sequence[Tokens]) -> Callable[[], object]:
    """The same texts by transformers' own model with SDPA, in padded batches of one length."""
    from transformers import AutoModelForSequenceClassification

    dtype = torch.float32 if run.device == "cpu" else torch.bfloat16
    network = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype).to(run.device).eval()
    length = len(tokens[0].ids)
    ids = torch.tensor([(list(each.ids) + [0] * length)[:length] for each in tokens])

    def go() -> None:
        with torch.inference_mode():
            for batch in ids.split(256):
                network(input_ids=batch.to(run.device)).logits.argmax(-1).cpu()

    return go


def measure_realised(run: Run) -> list[dict[str, Any]]:
    """Layers saved against time saved, exits scripted, at several capacities and mean depths."""
    found = []
    for shape, folder in shapes_of(run):
        classifier = Classifier.load(folder, "full", dtype=dtype_of(run), device=run.device)
        deepest = classifier.depths
        for rows in (4,) if run.is_toy else (16, 256, 2048):
            number = 8 if run.is_toy else max(1024, 4 * rows)
            tokens, capacity = classifier.tokeniser.encode(texts_of(62, number)), Capacity(rows, rows * 64)
            plain = Scripted(classifier.backend, [deepest])
            full = run.time(partial(serve, plain, tokens, policy("full"), capacity), rounds=3)
            for mean in (2.0,) if run.is_toy else (1.5, 2.0, 3.0, 6.0, 9.0, 12.0):
                if run.left < 45:
                    return found
                backend = Scripted(classifier.backend, script(mean, deepest))
                depth = serve(backend, tokens, policy(POLICY), capacity)
                seconds = run.time(partial(serve, backend, tokens, policy(POLICY), capacity), rounds=3)
                found.append(
                    {
                        "shape": shape,
                        "capacity": rows,
                        "mean_depth": depth,
                        "layer_speedup": deepest / depth,
                        "wall_speedup": full / seconds,
                        "realised": full / seconds * depth / deepest,
                        "texts_per_second": number / seconds,
                    }
                )
    return found


def measure_latency(run: Run) -> list[dict[str, Any]]:
    """One text at a time, tokenising included: milliseconds at full depth and at a quarter of it, graphs on and off."""
    found = []
    for shape, folder in shapes_of(run):
        for graphs in (True, False):
            full = Classifier.load(folder, "full", dtype=dtype_of(run), device=run.device)
            if not graphs and not disable_graphs(full.backend):
                continue
            scripted = Scripted(full.backend, [full.depths // 4])
            quarter = Classifier(full.bundle, full.tokeniser, scripted, policy(POLICY))
            for length in (8,) if run.is_toy else (8, 32, 128, 512):
                if run.left < 30:
                    return found
                (text,) = texts_of(length - 2, 1)
                found.append(
                    {
                        "shape": shape,
                        "tokens": length,
                        "graphs": graphs and uses_graphs(full.backend),
                        "full_ms": run.time(partial(full.predict, [text])) * 1e3,
                        "quarter_ms": run.time(partial(quarter.predict, [text])) * 1e3,
                    }
                )
    return found


def measure_tokenising(run: Run) -> dict[str, Any]:
    """Whether tokenising is on the critical path: texts a second of texts, of tokens, and of the tokenizer alone."""
    folder = folder_of("bundled", run.cache)
    classifier = Classifier.load(folder, None, dtype=dtype_of(run), device=run.device)
    texts = texts_of(62, 8 if run.is_toy else 16384)
    tokens = classifier.tokeniser.encode(texts)
    seconds = {
        "predict(texts)": run.time(lambda: classifier.predict(texts), rounds=3),
        "exits(tokens)": run.time(lambda: list(classifier.exits(tokens, classifier.policy)), rounds=3),
        "tokenizer alone": run.time(lambda: classifier.tokeniser.encode(texts), rounds=3),
    }
    return {name: len(texts) / taken for name, taken in seconds.items()}


SECTIONS: dict[str, Callable[[Run], object]] = {
    "device": measure_device,
    "correctness": check_correctness,
    "throughput": measure_throughput,
    "realised": measure_realised,
    "latency": measure_latency,
    "tokenising": measure_tokenising,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run all sections; 1 if a section failed or a result is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("build/gpu"))
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--toy", action="store_true", help="small sizes on the CPU")
    args = parser.parse_args(argv)
    if not args.toy and not torch.cuda.is_available():
        print("no CUDA device here: this run needs one (--toy tries the script on the CPU)", file=sys.stderr)
        return 2
    failed = []
    with tempfile.TemporaryDirectory() as cache:
        device = "cpu" if args.toy else "cuda"
        run = Run(device, args.output, Path(cache), args.minutes * 60, args.toy)
        run.keep("about", describe() | {"toy": args.toy, "shapes": {"bundled": None, **SHAPES}})
        for name, section in SECTIONS.items():
            begin = time.perf_counter()
            try:
                run.keep(name, section(run))
            except Exception:  # the other sections must still be measured: the device is lent for minutes
                run.keep(name, {"failed": traceback.format_exc()})
                failed.append(name)
            run.keep("seconds", run.result.get("seconds", {}) | {name: time.perf_counter() - begin})
            print(f"{name}: {json.dumps(run.result[name])[:1500]}", flush=True)
    errors = run.result["correctness"].get("errors", [])
    for line in [*(f"{name} failed" for name in failed), *errors]:
        print(f"WRONG: {line}", file=sys.stderr)
    print(f"kept in {args.output / 'gpu.json'}")
    return 1 if failed or errors else 0


if __name__ == "__main__":
    sys.exit(main())
