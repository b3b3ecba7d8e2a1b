"""Time by length, one text at a time or many, against every peer and the processor's limit; where a depth's time goes.

    python benchmarks/latency.py [--shape bundled] [--texts 1] [--rounds 5] [--peers NAME …] [--lengths N …]

``against`` is the best peer's time at full depth divided by ours, at full depth (``full``) and where all texts exit at
a quarter of it, after a window at every depth (``quarter``); ``multiplied`` and ``read`` are the shares of the
processor's multiply rate in that precision, and of the rate at which it reads the layer's weights from cache
(limits.py), that our full depth reaches.

For a processor without newer instructions, hold everybody to the same set: ``ELBERT_NATIVE=avx2
ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2`` (onnxruntime has no such switch: leave
it out with ``--peers``).

``parts`` are microseconds of one row's step, exit head and decision, each timed alone (so warm in the caches; within
a run the head's weights have to be fetched again behind the layer's, and cost about twice as much).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from elbert import Classifier, policy
from elbert.inference import admit, deepen, settle
from elbert.model import ModelConfig
from limits import measure_limits, operations, weights_read
from machine import keep
from peers import PEERS, PRECISIONS, Workshop, add_precision_options, installed_peers, prepare_peers
from rounds import interleaved, repeated
from scripted import NEVER, POLICY
from shapes import folder_of, texts_of

LENGTHS = (8, 16, 32, 64, 128, 256, 512)


def contest(
    folder: Path, cache: Path, names: list[str], texts: int, precisions: Sequence[str]
) -> dict[str, Callable[[list[str]], Any]]:
    """Everybody, at batch 1 for one text; ours at full depth, and with a window at every depth at a quarter of it."""
    workshop = Workshop(cache=cache, calibration=tuple(texts_of(20, 100)))
    chosen = installed_peers(names, precisions)
    peers = prepare_peers(chosen, folder, workshop, batch=texts)
    everybody: dict[str, Callable[[list[str]], Any]] = {f"{p.name} {p.precision}": go for p, go in peers.items()}
    for precision in precisions:
        full = Classifier.load(folder, "full", dtype=precision)
        quarter = policy(f"{NEVER} | depth({full.depths // 4})")
        everybody[f"elbert {precision}, full depth"] = full.predict
        everybody[f"elbert {precision}, depth L/4"] = partial(full.predict, policy=quarter)
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


def against_peers(
    taken: dict[str, float], config: ModelConfig, texts: int, length: int, limits: dict[str, float]
) -> dict[str, Any]:
    """Ratios to the best peer of equal precision, and our shares of the processor's limits; ``taken``: milliseconds."""
    found: dict[str, Any] = {}
    for precision in (one for one in PRECISIONS if f"elbert {one}, full depth" in taken):
        full, quarter = (taken[f"elbert {precision}, {way}"] for way in ("full depth", "depth L/4"))
        peers = {peer.name: taken[name] for peer in PEERS if (name := f"{peer.name} {precision}") in taken}
        seconds = full / 1e3
        found[precision] = {"read": weights_read(config, precision) / seconds / limits["cache"]}
        if precision in limits:
            found[precision]["multiplied"] = texts * operations(config, length) / seconds / limits[precision]
        if peers:
            best = min(peers, key=lambda name: peers[name])
            found[precision] |= {"peer": best, "full": peers[best] / full, "quarter": peers[best] / quarter}
    return found


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="bundled", choices=("bundled", "albert-base", "albert-large"))
    parser.add_argument("--texts", type=int, default=1, help="texts of a call")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", default=[])
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, help="tokens of a text")
    add_precision_options(parser)
    args = parser.parse_args()
    limits = measure_limits()
    result: dict[str, Any] = {"shape": args.shape, "texts": args.texts, "rounds": args.rounds, "limits": limits}
    result |= {"milliseconds": {}, "against": {}, "parts_us": {}}
    name = f"latency_{args.shape}" if args.texts == 1 else f"lengths_{args.shape}_{args.texts}"
    name += "".join(f"_{word}" for word in (os.environ.get("ELBERT_NATIVE"), args.processor) if word)
    with tempfile.TemporaryDirectory() as cache:
        folder = folder_of(args.shape, Path(cache))
        everybody = contest(folder, Path(cache), args.peers, args.texts, args.precisions)
        config = Classifier.load(folder).bundle.config
        for length in args.lengths:
            texts = texts_of(length - 2, args.texts)
            runs = {name: repeated(partial(go, texts)) for name, go in everybody.items()}
            seconds = interleaved(runs, args.rounds, warm=False)
            taken = {name: seconds[name] / runs[name].times * 1e3 for name in runs}  # type: ignore[attr-defined]
            result["milliseconds"][length] = taken
            found = against_peers(taken, config, args.texts, length, limits)
            result["against"][length] = found
            print(f"{length} tokens: " + ", ".join(f"{each} {ms:.2f} ms" for each, ms in taken.items()), flush=True)
            print(f"  best peer / ours: {found}", flush=True)
            keep(name, result)  # as it comes
        for precision in args.precisions if args.texts == 1 else ():
            classifier = Classifier.load(folder, dtype=precision)
            result["parts_us"][precision] = {length: parts(classifier, length) for length in (8, 32, 128, 512)}
            for length, found in result["parts_us"][precision].items():
                print(f"{precision} {length} tokens: " + ", ".join(f"{n} {us:.0f} us" for n, us in found.items()))
    print(f"kept in {keep(name, result)}")


if __name__ == "__main__":
    main()
