"""The training study's figures from the records of its runs: mean and deviation over seeds, pairs by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from lab.early import early
from lab.runs import Run
from lab.tables import deviation, rounded

Record = dict[str, Any]
PART = "test"


def collect(runs: Sequence[Run], reference: str) -> dict[str, Any]:
    """By set and way to train, from whatever runs are finished."""
    records: dict[str, dict[str, dict[int, Record]]] = {}
    for run in runs:
        if (record := run.record()) is not None:
            seeds = records.setdefault(run.prepared.data.name, {}).setdefault(run.variant.name, {})
            seeds[run.seed] = record | {"early": early(run)}
    sets = {name: of_set(found, reference) for name, found in records.items()}
    return {
        "base": runs[0].base.key,
        "depths": runs[0].base.depths,
        "reference": reference,
        "planned": len(runs),
        "finished": sum(len(seeds) for found in records.values() for seeds in found.values()),
        "sets": sets,
        "over_sets": over_sets(sets),
    }


def of_set(found: dict[str, dict[int, Record]], reference: str) -> dict[str, Any]:
    """Every way's figures on one set."""
    plain = next((seeds for name, seeds in found.items() if is_plain(name)), {})
    any_record = next(iter(next(iter(found.values())).values()))
    ways = {name: of_way(seeds, found.get(reference, {}), plain, is_plain(name)) for name, seeds in found.items()}
    return {"n": any_record[PART]["n"], "saw_this_set": any_record["base"]["saw_this_set"], "ways": ways}


def is_plain(name: str) -> bool:
    """Whether a way trains the last depth alone."""
    return name.startswith("plain-")


def of_way(seeds: dict[int, Record], reference: dict[int, Record], plain: dict[int, Record], alone: bool) -> Record:
    """One way's figures: accuracy by depth; by seed, ``gain`` of area over the reference and ``time`` over plain."""
    by_depth = list(zip(*(record[PART]["accuracy"] for record in seeds.values()), strict=True))
    areas = [record[PART]["area"] for record in seeds.values()]
    full = [record[PART]["accuracy"][-1] for record in seeds.values()]
    pairs, beside_plain = of_both(seeds, reference), of_both(seeds, plain)
    gains = [ours[PART]["area"] - theirs[PART]["area"] for ours, theirs in pairs]
    deep = [ours[PART]["accuracy"][-1] - theirs[PART]["accuracy"][-1] for ours, theirs in beside_plain]
    times = [step_time(ours) / step_time(theirs) for ours, theirs in beside_plain]
    return {
        "seeds": sorted(seeds),
        "accuracy": [rounded(statistics.fmean(values)) for values in by_depth],
        "accuracy_sd": [rounded(deviation(values)) for values in by_depth],
        "ece": [rounded(statistics.fmean(v)) for v in zip(*(r[PART]["ece"] for r in seeds.values()), strict=True)],
        "full": [rounded(value) for value in full],
        "area": None if alone else [rounded(value) for value in areas],
        "gain": None if alone else [rounded(value) for value in gains],
        "early_gain": gains_by_speedup([(with_exits(ours), with_exits(theirs)) for ours, theirs in pairs]),
        "halves_gain": gains_by_speedup([(halves(ours), halves(theirs)) for ours, theirs in pairs]),
        "full_over_plain": [rounded(value) for value in deep],
        "time_over_plain": rounded(statistics.median(times), 3) if times else None,
        "step_seconds": [rounded(step_time(record), 4) for record in seeds.values()],
    }


def of_both(ours: dict[int, Record], theirs: dict[int, Record]) -> list[tuple[Record, Record]]:
    """The records of the seeds that both have."""
    return [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]


def with_exits(record: Record) -> dict[str, float]:
    """Accuracy on the test part, by speed-up."""
    return {speedup: found["accuracy"] for speedup, found in record["early"].get("speedups", {}).items()}


def halves(record: Record) -> dict[str, float]:
    """Accuracy on halves of the calibration part, by speed-up."""
    return dict(record["early"].get("halves", {}))


def gains_by_speedup(pairs: Sequence[tuple[dict[str, float], dict[str, float]]]) -> dict[str, list[float]]:
    """By speed-up, the accuracy with exits over the reference's, of every seed that both were run over with exits."""
    there = [(ours, theirs) for ours, theirs in pairs if ours and theirs]
    speedups = dict.fromkeys(s for ours, _ in there for s in ours)
    return {s: [round(a[s] - b[s], 5) for a, b in there if s in a and s in b] for s in speedups}


def step_time(record: Record) -> float:
    """Seconds of a training step: the processor's own, which others lengthen least; with a GPU, by the clock."""
    kind = "step_cpu_seconds" if record["conditions"]["device"] == "cpu" else "step_seconds"
    return float(record["training"][kind]) / max(int(record["training"]["steps"]), 1)


def over_sets(sets: dict[str, Any]) -> dict[str, Any]:
    """Every way's gain over the reference: all pairs of set and seed, and how many of them were gains."""
    names = dict.fromkeys(name for found in sets.values() for name in found["ways"] if not is_plain(name))
    found = {}
    for name in names:
        ways = [each["ways"][name] for each in sets.values() if name in each["ways"]]
        gains = [gain for way in ways for gain in way["gain"]]
        found[name] = {
            "sets": len(ways),
            "pairs": len(gains),
            "gain": rounded(statistics.fmean(gains)) if gains else None,
            "gain_sd": rounded(deviation(gains)),
            "early_gain": mean_by_speedup([way["early_gain"] for way in ways]),
            "halves_gain": mean_by_speedup([way["halves_gain"] for way in ways]),
            **chosen_by([way["halves_gain"] for way in ways]),
            "better": sum(gain > 0 for gain in gains),
            "worse": sum(gain < 0 for gain in gains),
            "full_over_plain": mean_of(value for way in ways for value in way["full_over_plain"]),
            "time_over_plain": mean_of(way["time_over_plain"] for way in ways if way["time_over_plain"] is not None),
        }
    return found


def mean_by_speedup(gains: Sequence[dict[str, list[float]]]) -> dict[str, float | None]:
    """The mean of all pairs, by speed-up."""
    return {s: mean_of(gain for way in gains for gain in way.get(s, [])) for s in dict.fromkeys(chain(*gains))}


def chosen_by(gains: Sequence[dict[str, list[float]]]) -> dict[str, Any]:
    """What the default is chosen by: the mean over speed-ups on halves of calibration parts, over pairs."""
    means = [statistics.fmean(pair) for way in gains if way for pair in zip(*way.values(), strict=True)]
    error = statistics.stdev(means) / math.sqrt(len(means)) if len(means) > 1 else None
    return {"chosen_by": mean_of(means), "chosen_by_error": rounded(error), "chosen_by_pairs": len(means)}


def mean_of(values: Iterable[float]) -> float | None:
    """The mean, or none of nothing."""
    known = list(values)
    return rounded(statistics.fmean(known), 4) if known else None
