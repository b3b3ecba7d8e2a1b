"""The training study: records of runs as figures by set and way to train, accuracy with exits, and the tables.

Accuracy with exits is measured twice: on the test part, which is reported; and on halves of the calibration part,
with the dials of one half measured on the other, by which the default way to train is chosen."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from elbert.evaluation import Outputs
from elbert.evaluation.sweep import Trials
from lab.places import Places, write_csv
from lab.report import key, test_figures
from lab.runs import Run
from lab.selection import choose_near
from lab.tables import deviation, percent, points, rounded, spread, table

Record = dict[str, Any]
PART = "test"


def collect(runs: Sequence[Run], reference: str) -> dict[str, Any]:
    """By set and way to train, from whatever runs are finished."""
    records: dict[str, dict[str, dict[int, Record]]] = {}
    for run in runs:
        if (record := run.record()) is not None:
            seeds = records.setdefault(run.prepared.data.name, {}).setdefault(run.variant.name, {})
            seeds[run.seed] = record | {"early": measure_exits(run)}
    sets = {name: summarise_set(found, reference) for name, found in records.items()}
    return {
        "base": runs[0].base.key,
        "depths": runs[0].base.depths,
        "reference": reference,
        "planned": len(runs),
        "finished": sum(len(seeds) for found in records.values() for seeds in found.values()),
        "sets": sets,
        "over_sets": over_sets(sets),
    }


def summarise_set(found: dict[str, dict[int, Record]], reference: str) -> dict[str, Any]:
    """Every way's figures on one set."""
    plain = next((seeds for name, seeds in found.items() if is_plain(name)), {})
    any_record = next(iter(next(iter(found.values())).values()))
    ways = {
        name: summarise_way(seeds, found.get(reference, {}), plain, is_plain(name)) for name, seeds in found.items()
    }
    return {"n": any_record[PART]["n"], "saw_this_set": any_record["base"]["saw_this_set"], "ways": ways}


def is_plain(name: str) -> bool:
    """Whether a way trains the last depth alone."""
    return name.startswith("plain-")


def summarise_way(
    seeds: dict[int, Record], reference: dict[int, Record], plain: dict[int, Record], alone: bool
) -> Record:
    """One way's figures: accuracy by depth; by seed, ``gain`` of area over the reference and ``time`` over plain."""
    by_depth = list(zip(*(record[PART]["accuracy"] for record in seeds.values()), strict=True))
    areas = [record[PART]["area"] for record in seeds.values()]
    full = [record[PART]["accuracy"][-1] for record in seeds.values()]
    pairs, beside_plain = pair_records(seeds, reference), pair_records(seeds, plain)
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


def pair_records(ours: dict[int, Record], theirs: dict[int, Record]) -> list[tuple[Record, Record]]:
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
            "full_over_plain": mean_or_none(value for way in ways for value in way["full_over_plain"]),
            "time_over_plain": mean_or_none(
                way["time_over_plain"] for way in ways if way["time_over_plain"] is not None
            ),
        }
    return found


def mean_by_speedup(gains: Sequence[dict[str, list[float]]]) -> dict[str, float | None]:
    """The mean of all pairs, by speed-up."""
    return {s: mean_or_none(gain for way in gains for gain in way.get(s, [])) for s in dict.fromkeys(chain(*gains))}


def chosen_by(gains: Sequence[dict[str, list[float]]]) -> dict[str, Any]:
    """What the default is chosen by: the mean over speed-ups on halves of calibration parts, over pairs."""
    means = [statistics.fmean(pair) for way in gains if way for pair in zip(*way.values(), strict=True)]
    error = statistics.stdev(means) / math.sqrt(len(means)) if len(means) > 1 else None
    return {"chosen_by": mean_or_none(means), "chosen_by_error": rounded(error), "chosen_by_pairs": len(means)}


def mean_or_none(values: Iterable[float]) -> float | None:
    """The mean, or none of nothing."""
    known = list(values)
    return rounded(statistics.fmean(known), 4) if known else None


HALVINGS = 4  # each gives two measurements


def exits_name(run: Run) -> str:
    """The name of its record."""
    return f"early/{run.base.key}/{run.name}"


def measure_exits(run: Run) -> dict[str, Any]:
    """``speedups``: policy, accuracy and mean depth on the test part; ``halves``: accuracy on halves of the other.

    Empty where the outputs are not here and were not read before.
    """
    record, known = run.record(), run.places.records.read(exits_name(run))
    if record is None or run.variant.plain:
        return {}
    if known is not None and known["outputs"] == record["outputs"]:
        return dict(known)
    calibration, test = run.outputs("calibration"), run.outputs("test")
    if calibration is None or test is None:
        return {}
    trials, chosen = Trials(test), choose_near(Trials(calibration))
    reported = {key(speedup): test_figures(trials, policy) for speedup, policy in chosen.items()}
    found = {"outputs": record["outputs"], "speedups": reported, "halves": by_halves(calibration)}
    run.places.records.write(exits_name(run), found)
    return found


def by_halves(calibration: Outputs) -> dict[str, float]:
    """By speed-up, the mean accuracy on the half that did not choose the dials."""
    found: dict[str, list[float]] = {}
    for seed in range(HALVINGS):
        order = np.random.default_rng(seed).permutation(len(calibration))
        halves = [Trials(calibration.take(half)) for half in np.array_split(order, 2)]
        for chosen_on, tried_on in (halves, halves[::-1]):
            for speedup, policy in choose_near(chosen_on).items():
                found.setdefault(key(speedup), []).append(float(tried_on.correct(policy).mean()))
    return {speedup: round(statistics.fmean(values), 5) for speedup, values in found.items()}


def save_study(places: Places, study: dict[str, Any]) -> None:
    """Write the record ``training_study`` and, a line for each set, way and depth, ``training_study.csv``."""
    places.records.write("training_study", study)
    rows = [
        [name, way, depth, accuracy, sd, ece, len(found["seeds"])]
        for name, each in study["sets"].items()
        for way, found in each["ways"].items()
        for depth, (accuracy, sd, ece) in enumerate(
            zip(found["accuracy"], found["accuracy_sd"], found["ece"], strict=True), 1
        )
    ]
    header = ["set", "way", "depth", "accuracy", "sd", "ece", "seeds"]
    write_csv(places.results / "training_study.csv", header, rows)


def load_study(places: Places) -> dict[str, Any] | None:
    """The study as it was kept."""
    return places.records.read("training_study")


def set_table(each: dict[str, Any], reference: str, depths: int) -> str:
    """One set: area, gain, time, and every depth's accuracy."""
    header = ["trained", "seeds", "area", f"area over {reference}", "last depth", "time over plain"]
    rows = []
    for name, way in each["ways"].items():
        gains = way["gain"] or []
        gain = f"{points(statistics.fmean(gains))} ({sum(g > 0 for g in gains)} of {len(gains)})" if gains else "–"
        time = "–" if way["time_over_plain"] is None else f"{way['time_over_plain']:.2f}"
        area = spread(way["area"]) if way["area"] else "–"
        by_depth = [percent(a) for a in way["accuracy"]]
        if is_plain(name):
            by_depth = [*["–"] * (len(by_depth) - 1), by_depth[-1]]
        rows.append([name, str(len(way["seeds"])), area, gain, spread(way["full"]), time, *by_depth])
    return table([*header, *map(str, range(1, depths + 1))], rows)


def choice_table(study: dict[str, Any]) -> str:
    """What the default is chosen by, best first."""
    ways = [(name, way) for name, way in study["over_sets"].items() if way["chosen_by"] is not None]
    ways.sort(key=lambda found: -found[1]["chosen_by"])
    speedups = list(dict.fromkeys(s for _, way in ways for s in way["halves_gain"]))
    rows = []
    for name, way in ways:
        error = "" if way["chosen_by_error"] is None else f" ± {100 * way['chosen_by_error']:.2f}"
        gains = [points(way["halves_gain"][s]) for s in speedups]
        rows.append([name, str(way["chosen_by_pairs"]), points(way["chosen_by"]) + error, *gains])
    return table(["trained", "pairs", "mean ± standard error", *(f"{s}x" for s in speedups)], rows)


def over_table(study: dict[str, Any]) -> str:
    """All sets together."""
    header = [
        "trained",
        "sets",
        "pairs",
        f"area over {study['reference']}",
        "better, worse",
        "last depth over plain",
        "time",
    ]
    speedups = list(dict.fromkeys(s for way in study["over_sets"].values() for s in way["early_gain"]))
    rows = []
    for name, way in study["over_sets"].items():
        sd = "" if way["gain_sd"] is None else f" ± {100 * way['gain_sd']:.2f}"
        gain = "–" if way["gain"] is None else points(way["gain"]) + sd
        deep = "–" if way["full_over_plain"] is None else points(way["full_over_plain"])
        time = "–" if way["time_over_plain"] is None else f"{way['time_over_plain']:.2f}"
        counts = f"{way['better']}, {way['worse']}"
        early = ["–" if (g := way["early_gain"].get(s)) is None else points(g) for s in speedups]
        rows.append([name, str(way["sets"]), str(way["pairs"]), gain, counts, deep, time, *early])
    return table([*header, *(f"{s}x" for s in speedups)], rows)
