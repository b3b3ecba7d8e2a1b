"""One text at a time: latency by length, and where the time of a depth goes.

    python benchmarks/latency.py [--shape bundled] [--rounds 5] [--peers NAME …]

``parts`` are microseconds of one row's step, exit head and decision, each timed alone (so warm in the caches; within
a run the head's weights have to be fetched again behind the layer's, and cost about twice as much).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from elbert import Classifier, policy
from elbert.inference import admit, deepen, settle
from machine import keep
from peers import PEERS, Workshop
from rounds import interleaved, repeated
from scripted import POLICY, Scripted
from shapes import folder_of, texts_of

LENGTHS = (8, 16, 32, 64, 128, 256, 512)
PRECISIONS = ("float32", "bfloat16", "int8")


def contest(folder: Path, cache: Path, names: list[str]) -> dict[str, Callable[[list[str]], Any]]:
    """Everybody at batch 1; ours at full depth and, by a script, at a quarter of it."""
    workshop = Workshop(cache=cache, calibration=tuple(texts_of(20, 100)))
    everybody: dict[str, Callable[[list[str]], Any]] = {}
    for peer in PEERS:
        if not peer.missing() and (not names or peer.name in names):
            everybody[f"{peer.name} {peer.precision}"] = peer.prepare(folder, 1, workshop)
    for precision in PRECISIONS:
        full = Classifier.load(folder, "full", dtype=precision)
        backend = Scripted(full.backend, [full.depths // 4])
        quarter = Classifier(full.bundle, full.tokeniser, backend, policy(POLICY))
        everybody[f"elbert {precision}, full depth"] = full.predict
        everybody[f"elbert {precision}, depth L/4"] = quarter.predict
    return everybody


def parts(classifier: Classifier, length: int) -> dict[str, float]:
    """Microseconds of the parts of one row's depth."""
    (tokens,) = classifier.tokeniser.encode(texts_of(length - 2, 1))
    backend, chosen = classifier.backend, policy(POLICY)
    with torch.inference_mode():
        rows = admit([tokens], [0], backend, chosen)
        deeper = deepen(rows, backend)
        head = backend.config.head(1)
        jobs = {
            "admit": lambda: admit([tokens], [0], backend, chosen),
            "layer": lambda: backend.step(rows.hidden, rows.layout, 0),
            "exit head": lambda: backend.config.probabilities(backend.read(rows.hidden, rows.layout, head)).numpy(),
            "decision": lambda: settle(deeper, backend.config),
        }
        several = {name: repeated(job, 0.05) for name, job in jobs.items()}
        seconds = interleaved(several, 5)
    return {name: seconds[name] / several[name].times * 1e6 for name in jobs}  # type: ignore[attr-defined]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="bundled", choices=("bundled", "albert-base", "albert-large"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", default=[])
    args = parser.parse_args()
    result: dict[str, Any] = {"shape": args.shape, "rounds": args.rounds, "milliseconds": {}, "parts_us": {}}
    with tempfile.TemporaryDirectory() as cache:
        folder = folder_of(args.shape, Path(cache))
        everybody = contest(folder, Path(cache), args.peers)
        for length in LENGTHS:
            texts = texts_of(length - 2, 1)
            runs = {name: repeated(partial(go, texts)) for name, go in everybody.items()}
            seconds = interleaved(runs, args.rounds, warm=False)
            taken = {name: seconds[name] / runs[name].times * 1e3 for name in runs}  # type: ignore[attr-defined]
            result["milliseconds"][length] = taken
            print(f"{length} tokens: " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in taken.items()), flush=True)
        for precision in PRECISIONS:
            classifier = Classifier.load(folder, dtype=precision)
            result["parts_us"][precision] = {length: parts(classifier, length) for length in (8, 32, 128, 512)}
            for length, found in result["parts_us"][precision].items():
                print(f"{precision} {length} tokens: " + ", ".join(f"{n} {us:.0f} us" for n, us in found.items()))
    print(f"kept in {keep(f'latency_{args.shape}', result)}")


if __name__ == "__main__":
    main()
