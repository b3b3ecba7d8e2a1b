"""Pooling over seeds: means beside deviations, and paired tests over the texts of all seeds.

McNemar's exact test is taken over the concatenated texts of all seeds, whose counts just add up. Every seed has
the same texts, so its p-values are smaller than with new texts; the count over seeds is shown beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from elbert.comparison.holdout import SIGNIFICANT
from elbert.evaluation.statistics import mcnemar_of_counts
from lab.report import PLAIN
from lab.selection import OURS
from lab.tables import deviation, rounded

Record = dict[str, Any]


def pool(seeds: Sequence[Record]) -> Record:
    """One set's record of all seeds."""
    first, depths = seeds[0], seeds[0]["depths"]
    alone = {k for seed in seeds for k in seed["alone"]}
    return {
        "kind": first["kind"],
        "saw_this_set": first["saw_this_set"],
        "n": first["n"],
        "chosen_on": first["chosen_on"],
        "depths": depths,
        "seeds": [seed["seed"] for seed in seeds],
        "full": series(seed["full"] for seed in seeds),
        "fixed": [series(values) for values in zip(*(seed["fixed"] for seed in seeds), strict=True)],
        "alone": {k: series(s["alone"][k] for s in seeds if k in s["alone"]) for k in sorted(alone, key=int)},
        "shallow": pool_tests([seed["shallow"] for seed in seeds]) | {"depth": max(depths // 4, 1)},
        "cells": apply_holm({s: cells(seeds, s) for s in first["cells"]}),
        "area": {name: series(pick(seeds, "area", name)) for name in common(seeds, "area")},
        "oracles": {name: means([seed["oracles"][name] for seed in seeds]) for name in first["oracles"]},
        "overthinking": series(seed["overthinking"] for seed in seeds),
        "efficiency": {name: means(pick(seeds, "efficiency", name)) for name in common(seeds, "efficiency")},
        "goals": {s: goals(seeds, s) for s in first["goals"]},
        "promises": promises(seeds),
        "windows": [means(list(each)) for each in zip(*(seed["windows"] for seed in seeds), strict=True)],
    }


def series(values: Iterable[float]) -> Record:
    """Mean, deviation, and the values by seed."""
    known = list(values)
    return {"mean": rounded(statistics.fmean(known)), "sd": rounded(deviation(known)), "each": known}


def pick(seeds: Sequence[Record], *names: str) -> list[Any]:
    """A value of every seed, by its path."""
    found: list[Any] = list(seeds)
    for name in names:
        found = [each[name] for each in found]
    return found


def common(seeds: Sequence[Record], *names: str) -> list[str]:
    """The keys that every seed has there, in the first one's order."""
    tables = pick(seeds, *names)
    return [key for key in tables[0] if all(key in table for table in tables)]


def means(records: Sequence[Record]) -> Record:
    """Numbers as means over seeds; what all seeds agree on stays; specs, which differ, are omitted."""
    found: Record = {}
    for name in records[0]:
        values = [record[name] for record in records]
        if all(value == values[0] for value in values):
            found[name] = values[0]
        elif all(isinstance(value, (int, float)) for value in values):
            found[name] = rounded(statistics.fmean(values))
    return found


def cells(seeds: Sequence[Record], speedup: str) -> Record:
    """Every family at one speed-up that all seeds have it at; classifiers trained alone may be of fewer seeds."""
    found: Record = {}
    tables = pick(seeds, "cells", speedup)
    for name in dict.fromkeys(name for table in tables for name in table):
        each = [table[name] for table in tables if name in table]
        if len(each) < len(seeds) and name != PLAIN:
            continue
        found[name] = {
            "accuracy": series(e["accuracy"] for e in each),
            "mean_depth": series(e["mean_depth"] for e in each),
            "policies": [e["policy"] for e in each],
        }
        if all("better" in e for e in each):
            found[name]["test"] = pool_tests(each)
    return found


def goals(seeds: Sequence[Record], speedup: str) -> Record:
    """What the families reach at a goal: speed-up on the test part, and points lost against full depth."""
    found: Record = {}
    for name in common(seeds, "goals", speedup):
        each = pick(seeds, "goals", speedup, name)
        lost = [seed["full"] - e["accuracy"] for seed, e in zip(seeds, each, strict=True)]
        speed = [seed["depths"] / e["mean_depth"] for seed, e in zip(seeds, each, strict=True)]
        policies = [e["policy"] for e in each]
        found[name] = {"lost": series(map(round5, lost)), "speedup": series(map(round5, speed)), "policies": policies}
    return found


def round5(value: float) -> float:
    """For a record."""
    return round(value, 5)


def promises(seeds: Sequence[Record]) -> list[Record]:
    """Promised and held-out risk of every seed; a promise is broken where the held-out risk is above it."""
    found = []
    for same in zip(*(seed["promises"] for seed in seeds), strict=True):
        certified = [promise for promise in same if "risk" in promise]
        about: Record = {name: same[0][name] for name in ("loss", "promised", "n")}
        about |= {"seeds": len(same), "certified": len(certified)}
        if certified:
            depths = seeds[0]["depths"]
            about |= {
                "risk": series(promise["risk"] for promise in certified),
                "speedup": series(round5(depths / promise["mean_depth"]) for promise in certified),
                "broken": sum(promise["risk"] > promise["promised"] for promise in certified),
                "policies": [promise["policy"] for promise in certified],
            }
        else:
            about["needed"] = same[0]["needed"]
        found.append(about)
    return found


UNEQUAL = 1.1


def apply_holm(found: Record) -> Record:
    """Add to every test of a set its p-value by Holm's procedure: as small in one of so many tests by chance alone."""
    tests = [cell["test"] for each in found.values() for cell in each.values() if "test" in cell]
    least = 0.0
    for place, test in enumerate(sorted(tests, key=lambda test: test["p"])):
        least = max(least, (len(tests) - place) * test["p"])
        test["holm"] = rounded(min(least, 1.0), 6)
    return found


def pool_tests(counts: Sequence[Record]) -> Record:
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
