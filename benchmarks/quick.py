"""Ten ratios in under four minutes: has a change made anything slower?

    python benchmarks/quick.py [--rounds 5] [--keep]

Full depth against the best installed peer of equal precision, one text at a time and batched; the share of saved layers
that is saved time; batched texts with exits against transformers' ``pipeline``. Each ratio is printed beside the one
that is kept for this processor in results/kept_ratios.json, and added to results/history.csv. Exit status 1 when one is
lower by more than 15 % in two measurements. ``--keep`` replaces the kept ratios; it is for a release. Another source
tree is measured with ``PYTHONPATH=OTHER/src``.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from elbert import Classifier, bundled_model
from elbert.cli.commands.env import collect_facts
from history import Comparison, Ratio, Source, append_history, better, compare, keep_ratios, read_kept
from machine import RESULTS
from peers import PRECISIONS, Peer, Workshop, installed_peers, prepare_peers
from realised import measure
from rounds import interleaved, repeated
from shapes import texts_of

KEPT, HISTORY = RESULTS / "kept_ratios.json", RESULTS / "history.csv"
REVIEWS = Path(__file__).parents[1] / "examples" / "reviews.txt"
LENGTHS = (8, 64)  # tokens of a single text
CAPACITIES = (1, 16)
BATCHED = "int8"  # the precision of batched texts at full depth
BUSY = 0.5  # load per core beyond which other work disturbs the ratios
PACKAGES = ("elbert", "torch", "transformers", "onnxruntime", "openvino")
Go = Callable[[Sequence[str]], Any]
Part = Callable[[int], list[Ratio]]


class Contest:
    """Peers and our classifiers, loaded once, for all parts of the benchmark."""

    def __init__(self, cache: Path, peers: Sequence[Peer], texts: Sequence[str]) -> None:
        self._workshop = Workshop(cache, tuple(texts_of(20, 100)), threads=collect_facts()["torch threads"])
        self._folder, self._peers, self._texts = bundled_model(), peers, texts
        self._full = {precision: Classifier.load(self._folder, "full", dtype=precision) for precision in PRECISIONS}
        alone = [peer for peer in peers if not is_pipeline(peer)]
        self._single = prepare_peers(alone, self._folder, self._workshop, batch=1)

    def single(self, length: int, rounds: int) -> list[Ratio]:
        """One text at a time at full depth, for each precision that a peer has."""
        text = texts_of(length - 2, 1)
        everybody: dict[Any, Go] = dict(self._single)
        everybody |= {precision: full.predict for precision, full in self._full.items()}
        runs = {name: repeated(partial(go, text)) for name, go in everybody.items()}
        taken = interleaved(runs, rounds, warm=False)  # type: ignore[arg-type]
        seconds = {name: taken[name] / runs[name].times for name in runs}  # type: ignore[attr-defined]
        return self._against(seconds, f"{{}}, one text of {length} tokens, full depth")

    def batched(self, rounds: int) -> list[Ratio]:
        """Many texts: full depth against the best peer, and exits against ``pipeline``."""
        safe = self._full[BATCHED].bundle.resolve_policy("safe")
        peers = [peer for peer in self._peers if peer.precision == BATCHED or is_pipeline(peer)]
        everybody: dict[Any, Go] = dict(prepare_peers(peers, self._folder, self._workshop))
        everybody |= {BATCHED: self._full[BATCHED].predict, "safe": partial(self._full[BATCHED].predict, policy=safe)}
        seconds = interleaved({name: partial(go, self._texts) for name, go in everybody.items()}, rounds)  # type: ignore[arg-type]
        found = self._against(seconds, "{}, batched, full depth")
        for peer in filter(is_pipeline, everybody):
            found.append(Ratio(f"{BATCHED}, batched, exits at safe", seconds[peer] / seconds["safe"], ("pipeline",)))
        return found

    def realised(self, rounds: int) -> list[Ratio]:
        """Saved time by saved layers, at mean depth L/4."""
        full = self._full["bfloat16"]
        found = []
        for capacity in CAPACITIES:
            (row,) = measure(full, capacity, rounds, means=[full.depths / 4], others=False)
            found.append(Ratio(f"bfloat16, realised fraction, capacity {capacity}", row["realised"]))
        return found

    def _against(self, seconds: dict[Any, float], name: str) -> list[Ratio]:
        """The best peer's time by ours, for each precision that both have."""
        found = []
        for precision in PRECISIONS:
            peers = [p for p in seconds if isinstance(p, Peer) and p.precision == precision and not is_pipeline(p)]
            if peers and precision in seconds:
                value = min(seconds[peer] for peer in peers) / seconds[precision]
                found.append(Ratio(name.format(precision), value, tuple(sorted(peer.name for peer in peers))))
        return found

    def parts(self) -> list[Part]:
        """What is measured, in pieces that can be measured again."""
        return [*(partial(self.single, length) for length in LENGTHS), self.batched, self.realised]


def is_pipeline(peer: object) -> bool:
    """Whether this is transformers as people call it, which is no peer at full depth: it neither sorts nor batches."""
    return isinstance(peer, Peer) and peer.name == "pipeline"


def silence_peers() -> None:
    """No progress bars, and no warnings of exporters, between the ratios."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)


def measure_all(parts: Sequence[Part], kept: dict[str, Ratio], rounds: int) -> list[Comparison]:
    """Every ratio beside the kept one; what seems to have fallen is measured twice."""
    found = []
    for part in parts:
        ratios = part(rounds)
        if any(each.has_fallen for each in compare(ratios, kept)):
            ratios = better(ratios, part(2 * rounds))
        found += compare(ratios, kept)
        for each in found[-len(ratios) :]:
            print(each, flush=True)
    return found


def describe_source() -> Source:
    """This machine, this commit, these versions; ``ELBERT_NATIVE`` makes it a machine without newer instructions."""
    facts, forced = collect_facts(), os.environ.get("ELBERT_NATIVE", "")
    machine = f"{facts['processor']}, {facts['cores']} cores{forced and f', ELBERT_NATIVE={forced}'}"
    return Source(datetime.now(UTC).date().isoformat(), commit(), machine, versions())


def versions() -> str:
    """The versions of what is compared."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return "; ".join(found)


def commit() -> str:
    """The commit of elbert's source tree, with ``+`` where files differ from it; empty outside a repository."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
        done = subprocess.run(command, cwd=bundled_model(), capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def main() -> int:
    """Measure, print, add to the history; compare, or keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="replace the kept ratios of this machine")
    args = parser.parse_args()
    silence_peers()
    if (load := os.getloadavg()[0]) > BUSY * (os.cpu_count() or 1):
        print(f"other work runs on this machine (load {load:.1f}): the ratios mean little")
    source = describe_source()
    kept = {} if args.keep else read_kept(KEPT, source.machine)
    texts = REVIEWS.read_text(encoding="utf-8").splitlines() * 8
    with tempfile.TemporaryDirectory() as cache:
        found = measure_all(Contest(Path(cache), installed_peers(), texts).parts(), kept, args.rounds)
    ratios = [each.ratio for each in found]
    append_history(HISTORY, source, ratios)
    if args.keep:
        keep_ratios(KEPT, source, ratios)
        print(f"kept in {KEPT}")
    fallen = [each.ratio.name for each in found if each.has_fallen]
    if fallen:
        print(f"fallen by more than 15 %: {'; '.join(fallen)}")
    elif not any(each.kept for each in found):
        print("nothing is kept for this machine: run with --keep on the commit to compare with")
    return int(bool(fallen))


if __name__ == "__main__":
    sys.exit(main())
