"""The training study as it is kept and shown."""

from __future__ import annotations

import statistics
from typing import Any

from lab.places import Places, write_csv
from lab.tables import percent, points, spread, table
from lab.training_pairs import is_plain


def keep(places: Places, study: dict[str, Any]) -> None:
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


def load(places: Places) -> dict[str, Any] | None:
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
