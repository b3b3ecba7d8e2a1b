"""Choose the bundled model's operating points on held-out data, and measure them on data that chose nothing.

For each name the fastest window policy whose loss of held-out accuracy against full depth is, with 95 % confidence
(paired, one-sided, normal), at most so many points. The plain estimate will not do: the fastest of hundreds of policies
that lose nothing on 800 texts loses 1.5 points elsewhere (tried). It is no certificate either: many policies are looked
at. The figures for people are those of the other files.

    python recipes/operating_points.py --model DIR --held-out H.parquet --report validation=V.parquet test=T.parquet
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from elbert import Classifier
from elbert.bundle import EXITS_FILE, OperatingPoint, write_points
from elbert.data import read_examples
from elbert.evaluation import Outputs, collect, parse_target
from elbert.evaluation.report import score_policy
from elbert.exits import Policy, policy, replay
from elbert.exits.policies import Window

LOSSES = {"safe": 0.5, "balanced": 1.0, "fast": 2.0}  # points of accuracy
SIGMAS = 1.645  # one-sided 95 %
DEFAULT = "safe"  # without a choice no accuracy is lost


def outputs_of(classifier: Classifier, path: str) -> Outputs:
    examples = list(read_examples(path))
    config = classifier.bundle.config
    labels = [parse_target(e, config.labels, config.task) for e in examples]
    return collect(classifier, [e.content() for e in examples], labels)


def candidates(depths: int) -> list[Policy]:
    """Windows over a grid of dials."""
    entropies = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6]
    return [
        Window(entropy=e, size=n, rule="agree", margin=m)
        for e, n, m in product(entropies, range(2, depths + 1), (0.0, 0.1, 0.2, 0.3, 0.4))
    ]


def highest_loss(outputs: Outputs, chosen: Policy) -> float:
    """The upper confidence limit of the accuracy lost against full depth, as a share."""
    correct = outputs.find_right().astype(float)
    depth = replay(outputs.probabilities, chosen)
    lost = correct[:, -1] - correct[np.arange(len(outputs)), depth - 1]
    return float(lost.mean() + SIGMAS * lost.std() / np.sqrt(len(lost)))


def figures(outputs: Outputs, chosen: Policy) -> dict[str, Any]:
    found, full = score_policy(outputs, str(chosen), chosen), score_policy(outputs, "full", policy("full"))
    return {
        "n": len(outputs),
        "accuracy": round(found.metrics["accuracy"], 4),
        "accuracy_full": round(full.metrics["accuracy"], 4),
        "calibration_error": round(found.metrics["ece"], 4),
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
    scored = [(p, score_policy(held, str(p), p), highest_loss(held, p)) for p in candidates(held.depths)]
    points = {}
    for name, limit in LOSSES.items():
        good = [(p, s) for p, s, loss in scored if loss <= limit / 100]
        if not good:
            raise SystemExit(f"{name}: no policy's loss is under {limit} points with confidence; more held-out texts")
        # Of those equally fast, the most accurate.
        chosen = min(good, key=lambda ps: (round(ps[1].mean_depth, 2), -ps[1].metrics["accuracy"]))[0]
        rule = f"fastest window whose held-out loss is at most {limit} points with 95 % confidence"
        measured = {"rule": rule, "held_out": figures(held, chosen)}
        measured |= {file: figures(outputs, chosen) for file, outputs in reports.items()}
        points[name] = OperatingPoint(chosen, measured)
        print(name, chosen, measured)
    write_points(Path(args.model) / EXITS_FILE, points, DEFAULT)


if __name__ == "__main__":
    main()
