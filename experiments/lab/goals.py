"""The goals that were set beforehand, and whether each is met, with the distance where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elbert.comparison.holdout import SIGNIFICANT
from lab.pooling import significant, verdict
from lab.selection import OURS
from lab.sets import SINGLE
from lab.tables import percent

Record = dict[str, Any]
SENTENCE_GOALS = (("3", 0.5), ("5", 1.5))  # layer speed-up, points lost
PAIR_GOALS = (("1.7", 0.5),)
WALL_GOAL = 2.8  # in the engine, where 3x of the layers are saved
CLEARLY = 0.01  # of accuracy by which shallow must be worse than deep
SST2_GOAL = 0.88


def check_goals(pooled: Record, timed: Record | None, simple: float | None) -> list[Record]:
    """Every goal of one set; ``simple`` is the accuracy of what needs no network."""
    single = pooled["kind"] in SINGLE
    found = [fast_and_close(pooled, s, points, simple) for s, points in (SENTENCE_GOALS if single else PAIR_GOALS)]
    if single:
        found.append(wall_clock_goal(timed))
    return [*found, never_behind(pooled), depth_matters(pooled), learned(pooled, simple)]


def goal(title: str, met: bool | None, found: str) -> Record:
    """A goal, whether it is met (None: not measured yet, or without meaning), and what was found."""
    return {"goal": title, "met": met, "found": found}


def fast_and_close(pooled: Record, speedup: str, points: float, simple: float | None) -> Record:
    """At least a layer speed-up, at most so many points lost; dials are chosen elsewhere, for a little more.

    Losing little of what needs no network is not called met.
    """
    title = f"{speedup}x layer speed-up, at most {points:g} points lost"
    found = pooled["goals"].get(speedup, {}).get(OURS)
    if found is None:
        return goal(title, None, f"no policy of {OURS} is that fast")
    lost, fast = found["lost"]["mean"], found["speedup"]["mean"]
    met = 100 * lost <= points + 1e-9 and fast >= float(speedup)
    result = f"{100 * lost:.2f} points lost at {fast:.2f}x"
    if met and learned(pooled, simple)["met"] is False:
        return goal(title, None, f"{result}, which means nothing: a linear SVM or the largest class is better")
    return goal(title, met, result)


def wall_clock_goal(timed: Record | None) -> Record:
    """The point that saves two thirds of the layers, on the clock."""
    title = f"{WALL_GOAL:g}x wall-clock in the engine at 3x of the layers"
    found = None if timed is None else timed["batch"].get("goal 3x")
    if found is None:
        return goal(title, None, "not run yet")
    return goal(title, found["speedup"] >= WALL_GOAL, f"{found['speedup']:.2f}x (layers {found['layer_speedup']:.2f}x)")


def never_behind(pooled: Record) -> Record:
    """Ours first, or not significantly behind, at every speed-up; of so many tests some are below 0.05 by chance."""
    cells = [(s, name, each, each[name]) for s, each in pooled["cells"].items() for name in each]
    tests = sum("test" in cell for _, _, _, cell in cells)
    behind = {
        f"{name} at {s}x (p = {cell['test']['p']:.3g}, Holm {cell['test']['holm']:.2g})": cell["test"]["holm"]
        for s, name, each, cell in cells
        if verdict(each, name) < 0
    }
    title = "first or not significantly behind at every speed-up"
    found = f"of {tests} tests behind " + (", ".join(behind) if behind else "in none")
    return goal(title, all(holm > SIGNIFICANT for holm in behind.values()), found)


def depth_matters(pooled: Record) -> Record:
    """Shallow depths clearly worse than the last: else the model, not the exit, is what was shown."""
    test = pooled["shallow"]
    depth = test["depth"]
    gap = pooled["full"]["mean"] - pooled["fixed"][depth - 1]["mean"]
    met = gap >= CLEARLY and significant(test) > 0
    return goal(
        f"a quarter of the depths at least {100 * CLEARLY:g} point worse than all",
        met,
        f"depth {depth}: {percent(pooled['fixed'][depth - 1]['mean'])}, all: {percent(pooled['full']['mean'])}, "
        f"p = {test['p']:.3g}",
    )


def learned(pooled: Record, simple: float | None) -> Record:
    """Early exit has a meaning: at full depth the model beats a linear SVM on the same rows, and a constant."""
    full = pooled["full"]["mean"]
    result = percent(full) if simple is None else f"{percent(full)}, the better of the two {percent(simple)}"
    return goal(
        "full depth better than a linear SVM and the largest class", None if simple is None else full > simple, result
    )


def bundled_goal(exits: Mapping[str, Any] | None) -> Record:
    """The bundled model's own goal, by the measurements in its exits.json, made on SST-2's validation part."""
    title = "bundled model: SST-2 validation at least 88 % at full depth"
    point = next(iter((exits or {}).get("points", {}).values()), None)
    full = None if point is None else point["measured"].get("accuracy_full")
    if full is None:
        return goal(title, None, "not measured")
    return goal(title, full >= SST2_GOAL, percent(full))
