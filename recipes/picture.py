"""The README's picture: accuracy against mean depth, every policy on the same saved outputs.

    elbert evaluate --model MODEL --data TEST.parquet --outputs test.npz
    python recipes/picture.py test.npz MODEL docs/benchmarks/bundled.svg

The dials are swept on the very data shown, so each curve is what a policy could reach, not what was promised; the
operating points, chosen on other data, are the crosses.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

from elbert import load_outputs
from elbert.bundle import Bundle
from elbert.evaluation import Outputs
from elbert.exits import replay

EDGES = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def families(depths: int) -> dict[str, list[str]]:
    return {
        "window": [f"window(entropy={e}, size={n})" for e in EDGES[:-4] for n in range(2, depths)],
        "entropy": [f"entropy({e})" for e in EDGES],
        "patience": [f"patience({t})" for t in range(depths)],
        "depth(k), a fixed shallower model": [f"depth({k})" for k in range(1, depths + 1)],
    }


def reached(outputs: Outputs, spec: str) -> tuple[float, float]:
    """``(mean depth, accuracy in points)``."""
    depth = replay(outputs.probabilities, spec)
    correct = outputs.find_right()[np.arange(len(outputs)), depth - 1]
    return float(depth.mean()), float(correct.mean() * 100)


def front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no cheaper point beats."""
    best: list[tuple[float, float]] = []
    for depth, accuracy in sorted(points, key=lambda p: (p[0], -p[1])):
        if not best or accuracy > best[-1][1]:
            best.append((depth, accuracy))
    return best


def main(npz: str, model: str, picture: str) -> None:
    outputs, bundle = load_outputs(npz), Bundle.open(model)
    plt.rcParams |= {"svg.hashsalt": "elbert", "font.size": 9}
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    for name, specs in families(outputs.depths).items():
        found = [reached(outputs, spec) for spec in specs]
        line = found if name.startswith("depth") else front(found)
        axes.plot(*zip(*line, strict=True), "o--" if name.startswith("depth") else ".-", ms=4, lw=1.2, label=name)
    for name, point in bundle.points.items():
        x, y = reached(outputs, str(point.policy))
        axes.plot(x, y, "kx", ms=7)
        axes.annotate(name, (x, y), xytext=(5, -11), textcoords="offset points")
    axes.set(
        xlabel="mean depth (of 12): computation", ylabel="accuracy, %", title=f"SST-2 test, {len(outputs):,} texts"
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:4])
