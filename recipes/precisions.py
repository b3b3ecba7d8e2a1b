"""Check what bfloat16 and int8 cost a model, and note it in its exits.json, so that ``--dtype auto`` may choose them.

``auto`` takes a precision that loses at most so many points of accuracy at full depth on every file, none of which may
have chosen anything; the others are available by name.

    python recipes/precisions.py --model DIR --report validation=V.parquet test=T.parquet [--most 0.2]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from elbert import Classifier
from elbert.bundle import EXITS_FILE, write_precisions
from elbert.data import read_examples
from elbert.evaluation import Outputs, collect, parse_target
from elbert.exits import replay


def outputs_of(classifier: Classifier, path: str) -> Outputs:
    """The outputs of every depth for a labelled file."""
    examples = list(read_examples(path))
    config = classifier.bundle.config
    labels = [parse_target(e, config.labels, config.task) for e in examples]
    return collect(classifier, [e.content() for e in examples], labels)


def compared(ours: Outputs, exact: Outputs, policy: Any) -> dict[str, Any]:
    """What a precision costs against float32: at full depth, and under the model's default policy."""
    rows = np.arange(len(exact))
    depth, exact_depth = (replay(o.probabilities, policy) for o in (ours, exact))
    early, exact_early = ours.find_right()[rows, depth - 1], exact.find_right()[rows, exact_depth - 1]
    same = ours.probabilities[:, -1].argmax(-1) == exact.probabilities[:, -1].argmax(-1)
    return {
        "n": len(exact),
        "accuracy": round(float(ours.find_right()[:, -1].mean()), 4),
        "accuracy_float32": round(float(exact.find_right()[:, -1].mean()), 4),
        "agreement": round(float(same.mean()), 4),
        "default_point": {
            "accuracy": round(float(early.mean()), 4),
            "accuracy_float32": round(float(exact_early.mean()), 4),
            "mean_depth": round(float(depth.mean()), 3),
            "mean_depth_float32": round(float(exact_depth.mean()), 3),
            "exits_moved": round(float((depth != exact_depth).mean()), 4),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--report", nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--most", type=float, default=0.2, help="points of accuracy that may be lost on any file")
    args = parser.parse_args()
    files = dict(report.split("=", 1) for report in args.report)
    loaded = {d: Classifier.load(args.model, dtype=d) for d in ("float32", "bfloat16", "int8")}
    policy = loaded["float32"].policy
    exact = {name: outputs_of(loaded["float32"], file) for name, file in files.items()}
    noted = {}
    for precision in ("bfloat16", "int8"):
        measured = {
            name: compared(outputs_of(loaded[precision], file), exact[name], policy) for name, file in files.items()
        }
        lost = max(m["accuracy_float32"] - m["accuracy"] for m in measured.values())
        print(precision, f"loses at most {lost * 100:.2f} points:", measured)
        noted[precision] = {"auto": lost <= args.most / 100, "most_points_lost": round(lost * 100, 2)} | measured
    write_precisions(Path(args.model) / EXITS_FILE, noted)


if __name__ == "__main__":
    main()
