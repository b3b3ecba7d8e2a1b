"""The exit study's tables: one set at a time, then all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elbert.evaluation.sweep import SLACK
from lab.pooling import verdict
from lab.selection import OURS
from lab.tables import p_value, percent, points, table, text_table

Record = dict[str, Any]
MARKS = {1: "*", -1: "!", 0: ""}
HOW = (
    f"Accuracy on the test part, mean over seeds, dials chosen on the calibration part at about that cost. `*`: "
    f"`{OURS}` is significantly better, `!`: worse (McNemar's exact test over the texts of all seeds, p < 0.05, not "
    "corrected for the number of tests), unless the better one costs over 10 % more. In brackets the layer speed-up on "
    "the test part, where it is more than 5 % off: such a family has no policy of about that cost, or it moved."
)


def families_table(pooled: Record, linear: str) -> str:
    """Accuracy of every family at every speed-up, area, and the linear baseline."""
    speedups = list(pooled["cells"])
    names = dict.fromkeys(name for cells in pooled["cells"].values() for name in cells)
    rows = []
    for name in names:
        area = pooled["area"].get(name)
        area_cell = "–" if area is None else percent(area["mean"])
        rows.append([name, *(cell(pooled, s, name) for s in speedups), area_cell])
    full = pooled["full"]
    spread = "" if full["sd"] is None else f" ± {100 * full['sd']:.1f}"
    rows.append(["full depth", percent(full["mean"]) + spread, *["" for _ in speedups]])
    rows.append(["linear SVM, our rows; all rows", linear, *["" for _ in speedups]])
    return table(["policy", *(f"{s}x" for s in speedups), "area"], rows)


def cell(pooled: Record, speedup: str, name: str) -> str:
    """One family at one speed-up."""
    found = pooled["cells"][speedup].get(name)
    if found is None:
        return "–"
    mark = MARKS[verdict(pooled["cells"][speedup], name)]
    fast = pooled["depths"] / found["mean_depth"]["mean"]
    off = "" if abs(fast / float(speedup) - 1) <= SLACK else f" ({fast:.1f}x)"
    return percent(found["accuracy"]["mean"]) + mark + off


def tests_table(pooled: Record) -> str:
    """Ours against each rival at each speed-up: points, p, seeds won, drawn, lost."""
    speedups = list(pooled["cells"])
    names = dict.fromkeys(n for cells in pooled["cells"].values() for n, c in cells.items() if "test" in c)
    return table(
        [f"{OURS} against", *(f"{s}x" for s in speedups)],
        [[name, *(duel(pooled["cells"][s].get(name), pooled["n"]) for s in speedups)] for name in names],
    )


def duel(found: Record | None, texts: int) -> str:
    """Points ahead, p-value, and seeds."""
    if found is None or "test" not in found:
        return "–"
    test = found["test"]
    seeds = "/".join(map(str, test["seeds"]))
    return f"{points((test['better'] - test['worse']) / (texts * sum(test['seeds'])))} ({p_value(test['p'])}; {seeds})"


def depths_table(pooled: Record) -> str:
    """``depth(k)`` of the one model, and classifiers trained alone with k depths."""
    depths = range(1, pooled["depths"] + 1)
    fixed = [percent(each["mean"]) for each in pooled["fixed"]]
    alone = [percent(pooled["alone"][str(k)]["mean"]) if str(k) in pooled["alone"] else "–" for k in depths]
    return table(["depths", *map(str, depths)], [["one model, depth(k)", *fixed], ["trained alone", *alone]])


def oracle_table(sets: Mapping[str, Record], family: str = OURS) -> str:
    """Distance to the oracles."""
    header = [
        "set",
        "full",
        "earliest right: accuracy, depth",
        "as the last: depth",
        f"{family} that lost nothing: depth",
    ]
    rows = []
    for name, pooled in sets.items():
        best, same = pooled["oracles"]["earliest correct"], pooled["oracles"]["earliest as the last"]
        ours = pooled["efficiency"].get(family)
        cells = ["–", "–", "–"]
        if ours is not None:
            cells = [f"{ours['mean_depth']:.2f}", f"{100 * ours['lost']:.2f}", percent(ours["efficiency"])]
        best_cell = f"{percent(best['accuracy'])}, {best['mean_depth']:.2f}"
        over = percent(pooled["overthinking"]["mean"])
        rows.append([name, percent(pooled["full"]["mean"]), best_cell, f"{same['mean_depth']:.2f}", *cells, over])
    return table([*header, "points lost on test", "efficiency, %", "overthinking, %"], rows)


def promises_table(sets: Mapping[str, Record]) -> str:
    """Promised and held-out risk, side by side."""
    header = ["set", "loss", "promised", "texts", "seeds", "held-out risk", "worst", "layer speed-up", "broken"]
    rows = []
    for name, pooled in sets.items():
        for promise in pooled["promises"]:
            about = [name, promise["loss"], f"{100 * promise['promised']:g} %", str(promise["n"])]
            if "risk" not in promise:
                rows.append([*about, "–", f"none: {promise['needed']} texts needed", "–", "–", "–"])
                continue
            risk = promise["risk"]
            cells = [f"{100 * risk['mean']:.2f} %", f"{100 * max(risk['each']):.2f} %"]
            speed = f"{promise['speedup']['mean']:.2f}x"
            rows.append(
                [*about, str(promise["certified"]), *cells, speed, f"{promise['broken']} of {promise['certified']}"]
            )
    return table(header, rows)


def goals_table(goals: Mapping[str, list[Record]]) -> str:
    """Every goal of every set."""
    met = {True: "met", False: "**not met**", None: "not known"}
    rows = [[name, each["goal"], met[each["met"]], each["found"]] for name, found in goals.items() for each in found]
    return text_table(["set", "goal", "", "found"], rows)
