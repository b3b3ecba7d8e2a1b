"""A comparison as plain values: what the report's page, ``--json`` and the CSV are made of."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from elbert.comparison.comparison import Comparison
from elbert.comparison.holdout import OURS, Contest
from elbert.evaluation.cost import flops
from elbert.evaluation.sweep import SPEEDUPS, Swept
from elbert.model import ModelConfig

SHOWN = 400  # points of a family that a picture needs; the CSV has all


def told(comparison: Comparison, config: ModelConfig | None, about: dict[str, Any]) -> dict[str, Any]:
    """The report's data; ``about`` is what was compared, when and how. Without a config, no operations are counted."""
    report, outputs = comparison.report, comparison.outputs
    return {
        **about,
        "n": report.n,
        "depths": outputs.depths,
        "labels": list(outputs.label_names),
        "full": report.by_depth[-1]["accuracy"],
        "fixed": [
            {"depth": depth, "accuracy": m["accuracy"], "ece": m["ece"], "flops": mean_flops(comparison, config, depth)}
            for depth, m in enumerate(report.by_depth, 1)
        ],
        "oracles": [{"name": o.name, "accuracy": o.accuracy, "mean_depth": o.mean_depth} for o in report.oracles],
        "overthinking": report.overthinking,
        "families": [family(name, swept) for name, swept in comparison.swept.items()],
        "speedups": list(SPEEDUPS),
        "at_speedup": [
            {"family": name, "values": [at(swept, speedup) for speedup in SPEEDUPS]}
            for name, swept in comparison.swept.items()
        ],
        "honest": {
            "choose_n": comparison.choose_n,
            "report_n": comparison.report_n,
            "rows": [row(contest) for contest in comparison.contests],
        },
        "exits": {"policy": str(comparison.default), "histogram": comparison.default_depths},
    }


def mean_flops(comparison: Comparison, config: ModelConfig | None, depth: int) -> float | None:
    """Operations of the mean text under ``depth(k)``, embedding and head counted."""
    if config is None:
        return None
    lengths, counts = np.unique(comparison.outputs.tokens, return_counts=True)
    each = [flops(config, int(length), depth, reads=1) for length in lengths]
    return float(np.average(each, weights=counts))


def family(name: str, swept: Swept) -> dict[str, Any]:
    """A family's curve, and a sample of its policies for the eye."""
    sample = np.random.default_rng(0).permutation(len(swept.policies))[:SHOWN]
    points = [[round(float(swept.mean_depth[i]), 4), round(float(swept.accuracy[i]), 5)] for i in sample]
    front = [entry(swept, i) for i in swept.front]
    return {"name": name, "area": swept.area, "policies": len(swept.policies), "points": points, "front": front}


def at(swept: Swept, speedup: float) -> dict[str, Any] | None:
    """A family's best at a speed-up."""
    found = swept.at(speedup)
    return None if found is None else entry(swept, found)


def entry(swept: Swept, i: int) -> dict[str, Any]:
    """One policy."""
    return {
        "policy": str(swept.policies[i]),
        "mean_depth": round(float(swept.mean_depth[i]), 4),
        "accuracy": round(float(swept.accuracy[i]), 5),
    }


def row(contest: Contest) -> dict[str, Any]:
    """One speed-up of the honest comparison."""
    entries = [vars(e) for e in contest.entries]
    tests = [
        {
            "rival": duel.rival,
            "difference": round(duel.difference.value * 100, 3),
            "low": round(duel.difference.low * 100, 3),
            "high": round(duel.difference.high * 100, 3),
            "p": duel.p,
            "verdict": duel.verdict,
        }
        for duel in contest.duels
    ]
    ours = next((e for e in entries if e["family"] == OURS), None)
    return {"speedup": contest.speedup, "entries": entries, "window": ours, "tests": tests}


def as_csv(comparison: Comparison) -> Iterator[str]:
    """Every policy of every family, a line each."""
    yield line(["family", "policy", "mean_depth", "layer_speedup", "accuracy", "on_front"])
    for name, swept in comparison.swept.items():
        front = set(swept.front)
        for i, policy in enumerate(swept.policies):
            depth = float(swept.mean_depth[i])
            numbers = [f"{depth:.5f}", f"{swept.depths / depth:.5f}", f"{swept.accuracy[i]:.6f}"]
            yield line([name, str(policy), *numbers, str(int(i in front))])


def line(values: Sequence[str]) -> str:
    """A line of CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()
