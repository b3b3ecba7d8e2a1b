"""Choose the bundled model's operating points on held-out data, and measure them on data that chose nothing.

For each name the fastest window policy whose held-out accuracy is at most so many points under full depth. The
figures for people are those of the other files.

    python recipes/operating_points.py --model DIR --held-out H.parquet --report validation=V.parquet test=T.parquet
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Any

from elbert import Classifier
from elbert.bundle import EXITS_FILE, OperatingPoint, write_points
from elbert.evaluation import Outputs, collect, target, text_of
from elbert.evaluation.evaluate import score
from elbert.exits import Policy, Window, policy
from elbert.text import read_examples

DROPS = {"safe": 0.0, "balanced": 0.5, "fast": 1.5}  # points of held-out accuracy
DEFAULT = "balanced"


def outputs_of(classifier: Classifier, path: str) -> Outputs:
    examples = list(read_examples(path))
    config = classifier.bundle.config
    labels = [target(e, config.labels, config.problem) for e in examples]
    return collect(classifier, [text_of(e) for e in examples], labels)


def candidates(depths: int) -> list[Policy]:
    """Windows over a grid of dials."""
    entropies = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6]
    return [
        Window(entropy=e, size=n, rule="agree", margin=m)
        for e, n, m in product(entropies, range(2, depths + 1), (0.0, 0.1, 0.2, 0.3, 0.4))
    ]


def figures(outputs: Outputs, chosen: Policy) -> dict[str, Any]:
    found, full = score(outputs, str(chosen), chosen), score(outputs, "full", policy("full"))
    return {
        "n": len(outputs),
        "accuracy": round(found.metrics["accuracy"], 4),
        "accuracy_full": round(full.metrics["accuracy"], 4),
        "mean_depth": round(found.mean_depth, 3),
        "layer_speedup": round(found.layer_speedup, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--held-out", required=True)
    parser.add_argument("--report", nargs="+", required=True, metavar="NAME=FILE")
    args = parser.parse_args()

    classifier = Classifier.load(args.model, "full")
    held = outputs_of(classifier, args.held_out)
    reports = {name: outputs_of(classifier, path) for name, path in (r.split("=", 1) for r in args.report)}
    full = score(held, "full", policy("full")).metrics["accuracy"]
    scored = [(p, score(held, str(p), p)) for p in candidates(held.depths)]
    points = {}
    for name, drop in DROPS.items():
        good = [(p, s) for p, s in scored if s.metrics["accuracy"] >= full - drop / 100 - 1e-9]
        # Of those equally fast, the most accurate.
        chosen = min(good, key=lambda ps: (round(ps[1].mean_depth, 2), -ps[1].metrics["accuracy"]))[0]
        measured = {"chosen_on": figures(held, chosen), "rule": f"held-out accuracy within {drop} points of full depth"}
        measured |= {file: figures(outputs, chosen) for file, outputs in reports.items()}
        points[name] = OperatingPoint(chosen, measured)
        print(name, chosen, measured)
    write_points(Path(args.model) / EXITS_FILE, points, DEFAULT)


if __name__ == "__main__":
    main()
