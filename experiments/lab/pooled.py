"""Pooling: one set's exit studies over seeds, means beside deviations, tests over all seeds' texts."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from lab.paired import corrected, tested
from lab.reporting import PLAIN
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
        "shallow": tested([seed["shallow"] for seed in seeds]) | {"depth": max(depths // 4, 1)},
        "cells": corrected({s: cells(seeds, s) for s in first["cells"]}),
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
    """Numbers as means over seeds; what all seeds agree on stays; specs, which differ, are left out."""
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
            found[name]["test"] = tested(each)
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
