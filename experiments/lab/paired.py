"""Paired tests over seeds, and their verdicts.

McNemar's exact test is taken over the concatenated texts of all seeds, whose counts just add up. Every seed has
the same texts, so its p-values are smaller than with new texts; the count over seeds is shown beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elbert.comparison.holdout import SIGNIFICANT
from elbert.evaluation.statistics import mcnemar_of_counts
from lab.choosing import OURS
from lab.tables import rounded

UNEQUAL = 1.1

Record = dict[str, Any]


def corrected(found: Record) -> Record:
    """Add to every test of a set its p-value by Holm's procedure: as small in one of so many tests by chance alone."""
    tests = [cell["test"] for each in found.values() for cell in each.values() if "test" in cell]
    least = 0.0
    for place, test in enumerate(sorted(tests, key=lambda test: test["p"])):
        least = max(least, (len(tests) - place) * test["p"])
        test["holm"] = rounded(min(least, 1.0), 6)
    return found


def tested(counts: Sequence[Record]) -> Record:
    """Ours (or full depth) against another: texts won and lost, seeds won, drawn and lost, and the p-value."""
    better, worse = sum(c["better"] for c in counts), sum(c["worse"] for c in counts)
    apart = [c["better"] - c["worse"] for c in counts]
    return {
        "better": better,
        "worse": worse,
        "p": rounded(mcnemar_of_counts(better, worse), 6),
        "seeds": [sum(a > 0 for a in apart), sum(a == 0 for a in apart), sum(a < 0 for a in apart)],
    }


def verdict(cells: Record, name: str) -> int:
    """1 where ours is significantly better than another family at about equal cost, -1 where worse, else 0.

    What wins at a cost over :data:`UNEQUAL` times the other's has not won at equal cost.
    """
    found = cells[name]
    if "test" not in found:
        return 0
    sign = significant(found["test"])
    ours, theirs = cells[OURS]["mean_depth"]["mean"], found["mean_depth"]["mean"]
    dearer = ours / theirs if sign > 0 else theirs / ours
    return 0 if dearer > UNEQUAL else sign


def significant(test: Record) -> int:
    """1 where the first side is significantly better, -1 where it is worse, 0 where neither is significant."""
    if test["p"] > SIGNIFICANT:
        return 0
    return 1 if test["better"] > test["worse"] else -1
