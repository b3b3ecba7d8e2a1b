"""Reporting: what was chosen on the calibration part is run over the test part. Nothing is chosen here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.calibration import compute_losses
from elbert.evaluation import Outputs
from elbert.evaluation.oracles import compute_oracles, overthinking_rate
from elbert.evaluation.sweep import SLACK, Trials
from elbert.exits import Policy
from elbert.exits.policies import Window
from lab.selection import OURS, Choices, Promise

Right = NDArray[np.bool_]
PLAIN = "trained alone"  # a shallower classifier, trained on its last depth only
RULES = ("agree", "trend", "stable")
ENTROPIES = (0.0, 0.1)  # the window alone, and the paper's default with it


def report(choices: Choices, test: Outputs, plain: Mapping[int, Outputs]) -> dict[str, Any]:
    """Everything of one seed; ``plain`` are the outputs of classifiers trained alone, by their depths."""
    trials = Trials(test)
    full = trials.right[:, -1]
    alone = {depths: outputs.find_right()[:, -1] for depths, outputs in plain.items()}
    return {
        "n": len(test),
        "chosen_on": choices.n,
        "depths": test.depths,
        "full": share(full),
        "fixed": [share(column) for column in trials.right.T],
        "alone": {str(depths): share(correct) for depths, correct in sorted(alone.items())},
        "shallow": count_wins(full, trials.right[:, max(test.depths // 4, 1) - 1]),
        "cells": {key(s): cells(trials, choices.near[s], alone_at(alone, test.depths, s)) for s in choices.near},
        "area": {name: round(area(trials, front), 5) for name, front in choices.fronts.items()},
        "oracles": {
            o.name: {"accuracy": rounded(o.accuracy), "mean_depth": rounded(o.mean_depth)}
            for o in compute_oracles(test)
        },
        "overthinking": rounded(overthinking_rate(test) or 0.0),
        "efficiency": {name: efficiency(trials, policy) for name, policy in choices.as_good.items()},
        "goals": {key(s): {n: test_figures(trials, p) for n, p in found.items()} for s, found in choices.goals.items()},
        "promises": [check_promise(trials, promise) for promise in choices.promises],
        "windows": windows(trials),
    }


def key(speedup: float) -> str:
    """How a speed-up is written."""
    return f"{speedup:g}"


def rounded(value: float) -> float:
    """For a record."""
    return round(float(value), 5)


def share(correct: Right) -> float:
    """How many are right."""
    return rounded(correct.mean())


def count_wins(ours: Right, theirs: Right) -> dict[str, int]:
    """On how many texts one is right and the other wrong: what McNemar's test needs, and can be summed over seeds."""
    return {"better": int((ours & ~theirs).sum()), "worse": int((theirs & ~ours).sum())}


def test_figures(trials: Trials, policy: Policy) -> dict[str, Any]:
    """A policy's spec, accuracy and mean depth."""
    depth = trials.depth(policy)
    return {
        "policy": str(policy),
        "accuracy": share(trials.look_up(trials.right, depth)),
        "mean_depth": rounded(depth.mean()),
    }


def cells(trials: Trials, chosen: Mapping[str, Policy], alone: tuple[int, Right] | None) -> dict[str, Any]:
    """Every family at one speed-up, and ours against each; the shallower classifier too, if there is one."""
    ours = trials.correct(chosen[OURS]) if OURS in chosen else None
    found = {}
    for name, policy in chosen.items():
        found[name] = test_figures(trials, policy)
        if ours is not None and name != OURS:
            found[name] |= count_wins(ours, trials.correct(policy))
    if alone is not None:
        depths, correct = alone
        found[PLAIN] = {"policy": f"{depths} depths", "accuracy": share(correct), "mean_depth": float(depths)}
        if ours is not None:
            found[PLAIN] |= count_wins(ours, correct)
    return found


def alone_at(alone: Mapping[int, Right], depths: int, speedup: float) -> tuple[int, Right] | None:
    """The deepest classifier trained alone that costs about what a speed-up allows."""
    usable = [k for k in alone if k <= max(depths / speedup * (1 + SLACK), 1)]
    return (max(usable), alone[max(usable)]) if usable else None


def area(trials: Trials, front: Sequence[tuple[float, Policy]]) -> float:
    """The mean, over costs from depth 1 to the last, of the test accuracy of what calibration would take there."""
    costs = np.append(np.clip([cost for cost, _ in front], 1, trials.outputs.depths), trials.outputs.depths)
    accuracy = np.array([trials.correct(policy).mean() for _, policy in front])
    span = costs[-1] - costs[0]
    return float((np.diff(costs) * accuracy).sum() / span) if span > 0 else float(accuracy[-1])


def efficiency(trials: Trials, policy: Policy) -> dict[str, Any]:
    """How many of the depths that the oracle saves at full depth's accuracy a policy saves, and what it loses.

    The oracle exits at the earliest depth whose prediction is that of the last, so its accuracy is full depth's.
    """
    found = test_figures(trials, policy)
    (best,) = (o for o in compute_oracles(trials.outputs) if o.name == "earliest as the last")
    spare, depths = trials.outputs.depths - best.mean_depth, trials.outputs.depths
    saved = (depths - found["mean_depth"]) / spare if spare > 0 else 1.0
    return found | {"efficiency": rounded(saved), "lost": rounded(trials.right[:, -1].mean() - found["accuracy"])}


def check_promise(trials: Trials, promise: Promise) -> dict[str, Any]:
    """The promised risk and the risk on the test part."""
    about = {"loss": promise.loss, "promised": promise.risk, "n": promise.n}
    if promise.policy is None:
        return about | {"needed": promise.needed}
    lost = trials.look_up(compute_losses(trials, promise.loss), trials.depth(promise.policy))
    return about | {"flips": promise.flips, "risk": rounded(lost.mean())} | test_figures(trials, promise.policy)


def windows(trials: Trials) -> list[dict[str, Any]]:
    """The paper's figure: window size against accuracy and cost, rule by rule, no dial chosen."""
    grid = [(e, rule, size) for e in ENTROPIES for rule in RULES for size in range(2, trials.outputs.depths + 1)]
    return [
        {"entropy": entropy, "rule": rule, "size": size}
        | {
            k: v
            for k, v in test_figures(trials, Window(entropy=entropy, size=size, rule=rule)).items()
            if k != "policy"
        }
        for entropy, rule, size in grid
    ]
