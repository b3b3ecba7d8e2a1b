"""Two source trees of elbert in one interleaved run: does a change slow anything?

    python benchmarks/versions.py --old OTHER/src [--texts 200] [--rounds 5] [--starts 3] [--threads N]

One process for each tree, one waiting while the other works, so that both meet the same machine; both are started anew
``--starts`` times, because a process can be slower than its equal for as long as it lives (memory placement). Prints,
for each case, the median texts per second of both trees and new ÷ old, the median over all rounds of the ratio.
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


def choose_texts(texts: list[str], case: str) -> list[str]:
    """The texts of a case: a tenth of them where they are classified one at a time."""
    return texts[: max(len(texts) // 10, 1)] if "one at a time" in case else texts


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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=3, help="times that both processes are started")
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
    seconds: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(args.starts):
        workers = {"old": Worker(args.old.resolve()), "new": Worker(args.new.resolve())}
        for precision in args.precisions:
            for case in CASES:
                chosen = choose_texts(texts, case)
                request = {"precision": precision, "case": case, "texts": chosen, "threads": args.threads}
                for number in range(args.rounds + 1):
                    for name in list(workers) if number % 2 else list(workers)[::-1]:
                        taken = workers[name].seconds(**request)
                        if number:  # the first round warms up
                            seconds.setdefault((precision, case, name), []).append(taken)
        for worker in workers.values():
            worker.close()
    rows = []
    for precision in args.precisions:
        for case in CASES:
            old, new = seconds[precision, case, "old"], seconds[precision, case, "new"]
            ratio = statistics.median(o / n for o, n in zip(old, new, strict=True))
            count = len(choose_texts(texts, case))
            rates = {"old": count / statistics.median(old), "new": count / statistics.median(new)}
            rows.append({"precision": precision, "case": case, "new_over_old": ratio, "texts_per_second": rates})
            speeds = "  ".join(f"{name} {rate:8.1f}/s" for name, rate in rates.items())
            print(f"{precision:<9} {case:<22} {speeds}  new/old {ratio:.3f}")
    print(f"median of all cases: new/old {statistics.median(row['new_over_old'] for row in rows):.3f}")
    sys.path.insert(0, str(args.new))
    from machine import keep

    print(
        f"kept in {keep('versions', {'texts': args.texts, 'rounds': args.rounds, 'starts': args.starts, 'rows': rows})}"
    )


if __name__ == "__main__":
    main()
