"""A comparison as plain values, for the report page, ``--json`` and the CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from elbert.comparison.comparison import Comparison
from elbert.comparison.holdout import CostComparison
from elbert.evaluation.cost import count_flops
from elbert.evaluation.sweep import SPEEDUPS, SweepResult
from elbert.exits.policies import OURS
from elbert.model import ModelConfig
from elbert.tasks import Task

MOST_POINTS = 400  # most points of a family in the page; the CSV file has all


def build_report_data(comparison: Comparison, config: ModelConfig | None, about: dict[str, Any]) -> dict[str, Any]:
    """The data of the report page and ``--json``; ``about`` (data, model, date) is included as it is.

    Without a config, ``flops`` is None.
    """
    report, outputs = comparison.report, comparison.outputs
    score = outputs.task.score_name
    return {
        **about,
        "n": report.n,
        "depths": outputs.depths,
        "labels": list(outputs.label_names),
        "score": score,
        "ours": OURS[outputs.task.content],
        "test": "McNemar's exact test" if outputs.task.is_graded else "randomization test",
        "full": report.by_depth[-1][score],
        "fixed": [
            {
                "depth": depth,
                score: m[score],
                "ece": m.get("ece"),
                "flops": compute_mean_flops(comparison, config, depth),
            }
            for depth, m in enumerate(report.by_depth, 1)
        ],
        "oracles": [{"name": o.name, "accuracy": o.accuracy, "mean_depth": o.mean_depth} for o in report.oracles],
        "overthinking": report.overthinking,
        "families": [family_to_dict(name, swept, score) for name, swept in comparison.swept.items()],
        "speedups": list(SPEEDUPS),
        "at_speedup": [
            {"family": name, "values": [best_at_speedup(swept, speedup, score) for speedup in SPEEDUPS]}
            for name, swept in comparison.swept.items()
        ],
        "honest": {
            "choose_n": comparison.choose_n,
            "report_n": comparison.report_n,
            "full": comparison.report_full,
            "rows": [comparison_to_dict(contest, outputs.task) for contest in comparison.contests],
        },
        "exits": {"policy": str(comparison.default), "histogram": comparison.default_depths},
    }


def compute_mean_flops(comparison: Comparison, config: ModelConfig | None, depth: int) -> float | None:
    """The mean operations of a text at a fixed depth, embedding and exit head included; None without a config."""
    if config is None:
        return None
    lengths, counts = np.unique(comparison.outputs.tokens, return_counts=True)
    each = [count_flops(config, int(length), depth, reads=1) for length in lengths]
    return float(np.average(each, weights=counts))


def family_to_dict(name: str, swept: SweepResult, score: str) -> dict[str, Any]:
    """A family's Pareto front, its area, and a random sample of its policies."""
    sample = np.random.default_rng(0).permutation(len(swept.policies))[:MOST_POINTS]
    points = [[round(float(swept.mean_depth[i]), 4), round(float(swept.score[i]), 5)] for i in sample]
    front = [policy_to_dict(swept, i, score) for i in swept.front]
    return {"name": name, "area": swept.area, "policies": len(swept.policies), "points": points, "front": front}


def best_at_speedup(swept: SweepResult, speedup: float, score: str) -> dict[str, Any] | None:
    """A family's best policy at a layer speed-up, or None."""
    found = swept.at(speedup)
    return None if found is None else policy_to_dict(swept, found, score)


def policy_to_dict(swept: SweepResult, i: int, score: str) -> dict[str, Any]:
    """One policy with its mean depth and score, rounded for the page."""
    return {
        "policy": str(swept.policies[i]),
        "mean_depth": round(float(swept.mean_depth[i]), 4),
        score: round(float(swept.score[i]), 5),
    }


def comparison_to_dict(contest: CostComparison, task: Task) -> dict[str, Any]:
    """One speed-up of the holdout comparison; differences are in percentage points."""
    entries = [
        {"family": e.family, "policy": e.policy, task.score_name: e.score, "mean_depth": e.mean_depth}
        for e in contest.entries
    ]
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
    ours = next((e for e in entries if e["family"] == OURS[task.content]), None)
    return {"speedup": contest.speedup, "entries": entries, "window": ours, "tests": tests}


def iterate_csv(comparison: Comparison) -> Iterator[str]:
    """The lines of a CSV file with every policy of every family, header first."""
    yield format_csv_line(
        ["family", "policy", "mean_depth", "layer_speedup", comparison.outputs.task.score_name, "on_front"]
    )
    for name, swept in comparison.swept.items():
        front = set(swept.front)
        for i, policy in enumerate(swept.policies):
            depth = float(swept.mean_depth[i])
            numbers = [f"{depth:.5f}", f"{swept.depths / depth:.5f}", f"{swept.score[i]:.6f}"]
            yield format_csv_line([name, str(policy), *numbers, str(int(i in front))])


def format_csv_line(values: Sequence[str]) -> str:
    """Join values to one line of CSV, quoted where needed."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()
