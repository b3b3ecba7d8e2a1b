"""Two source trees of elbert in one interleaved run: does a change slow anything?

    python benchmarks/versions.py --old OTHER/src [--texts 200] [--rounds 7] [--precisions float32 bfloat16 int8]

One process for each tree, one waiting while the other works, so that both meet the same machine. Prints, for each case,
texts per second of both trees and new ÷ old, as the median over rounds of the ratio within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REVIEWS = HERE.parent / "examples" / "reviews.txt"
CASES = ("full", "safe", "fast", "fast, one at a time")


def work() -> None:
    """Answer requests on standard input: a case and its texts; one line with the seconds each took."""
    from elbert import Classifier

    classifiers: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        precision, texts, point = request["precision"], request["texts"], request["case"].split(",")[0]
        if precision not in classifiers:
            classifiers[precision] = Classifier.load(dtype=precision, threads=request["threads"])
        classifier = classifiers[precision]
        batches = [[text] for text in texts] if "one at a time" in request["case"] else [texts]
        begin = time.perf_counter()
        for batch in batches:
            classifier.predict(batch, point)
        print(json.dumps(time.perf_counter() - begin), flush=True)


class Worker:
    """A process that runs one source tree."""

    def __init__(self, source: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(source)}
        command = [sys.executable, __file__, "--work"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def seconds(self, **request: Any) -> float:
        """The seconds that a case takes in that tree."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Run both trees, interleaved; print the table; keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--old", type=Path, help="the src folder of the other tree")
    parser.add_argument("--new", type=Path, default=HERE.parent / "src", help="default: this tree")
    parser.add_argument("--texts", type=int, default=200, help="texts of a timed run (a tenth of them one at a time)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=None, help="default: as the classifier chooses")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16", "int8"])
    args = parser.parse_args()
    if args.work:
        work()
        return
    if args.old is None or not (args.old / "elbert").is_dir():
        parser.error(f"--old must be a folder with elbert in it, got {args.old}")
    lines = REVIEWS.read_text(encoding="utf-8").splitlines()
    texts = (lines * (args.texts // len(lines) + 1))[: args.texts]
    trees = {"old": Worker(args.old.resolve()), "new": Worker(args.new.resolve())}
    rows = []
    for precision in args.precisions:
        for case in CASES:
            chosen = texts[: max(args.texts // 10, 1)] if "one at a time" in case else texts
            request = {"precision": precision, "case": case, "texts": chosen, "threads": args.threads}
            taken: dict[str, list[float]] = {name: [] for name in trees}
            for number in range(args.rounds + 1):
                order = list(trees) if number % 2 else list(trees)[::-1]
                for name in order:
                    taken[name].append(trees[name].seconds(**request))
            ratio = statistics.median(o / n for o, n in zip(taken["old"][1:], taken["new"][1:], strict=True))
            rates = {name: len(chosen) / statistics.median(values[1:]) for name, values in taken.items()}
            rows.append({"precision": precision, "case": case, "new_over_old": ratio, "texts_per_second": rates})
            speeds = "  ".join(f"{name} {rate:8.1f}/s" for name, rate in rates.items())
            print(f"{precision:<9} {case:<22} {speeds}  new/old {ratio:.3f}", flush=True)
    for worker in trees.values():
        worker.close()
    sys.path.insert(0, str(args.new))
    from machine import keep

    print(f"kept in {keep('versions', {'texts': args.texts, 'rounds': args.rounds, 'rows': rows})}")


if __name__ == "__main__":
    main()
