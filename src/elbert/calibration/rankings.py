"""Operating points of rankings: the list-wise policy for a goal, with the share of lists whose highest texts change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from elbert._display import plural
from elbert.bundle import Certificate, OperatingPoint
from elbert.calibration.certify import STEPS_A_DEPTH, check_enough, compute_p_value
from elbert.errors import InputError
from elbert.evaluation import split_indices
from elbert.exits import FULL, Policy, fixed_depth
from elbert.exits.policies import Outranked
from elbert.ranking.ranking_outputs import RankingOutputs

LOSS = "changed-ranking"
MARGINS = (0.0, *(float(f"{margin:.3g}") for margin in np.geomspace(0.01, 3, 14)))
SIZES = (2, 3, 4)


def split_lists(outputs: RankingOutputs, share: float) -> tuple[RankingOutputs, RankingOutputs]:
    """Return a random share of the lists, to choose on, and the others, to measure on.

    Raises:
        InputError: one of them would be empty.
    """
    chosen, rest = split_indices(len(outputs), share)
    if not len(chosen) or not len(rest):
        raise InputError(f"{plural(len(outputs), 'list')} cannot be split into two parts; give more")
    return outputs.select(chosen.tolist()), outputs.select(rest.tolist())


def calibrate_ranking(
    tuning: RankingOutputs,
    measured: RankingOutputs,
    *,
    top: int,
    risk: float | None = None,
    error: float = 0.05,
    speedup: float | None = None,
) -> OperatingPoint:
    """Return the operating point for a goal: chosen on ``tuning``, measured on ``measured``.

    ``risk``: the fastest policy whose share of lists with other ``top`` highest texts than at full depth, or in another
    order, is certified. ``speedup``: the policy that changes the fewest lists with at least this layer speed-up.

    Raises:
        InputError: there is not one goal, or it cannot be met.
        MissingExtra: scipy is not installed.
    """
    if (risk is None) == (speedup is None):
        raise InputError("expected one goal for rankings: risk or speedup")
    if risk is not None:
        check_enough(len(measured), risk, error, "lists")
        policy, certificate = certify_ranking(order_policies(tuning, top), measured, top, risk, error)
        goal = f"the fastest policy certified to change the top {top} of at most {risk:g} of lists, error {error:g}"
    else:
        policy, certificate = find_least_changing(tuning, top, speedup or 1.0), None
        goal = (
            f"the policy that changes the top {top} of the fewest lists with a layer speed-up of at least {speedup:g}"
        )
    figures = {"goal": goal, **measure_ranking(measured, policy, top)}
    return OperatingPoint(policy, figures | {"chosen_on": measure_ranking(tuning, policy, top)}, certificate)


def build_policies(top: int) -> list[Policy]:
    """Return the list-wise policies that are tried."""
    return [Outranked(top, margin, size) for margin in MARGINS for size in SIZES]


def order_policies(tuning: RankingOutputs, top: int) -> list[Policy]:
    """Return policies from ``full`` to the fastest, one for each step of cost: that which changes the fewest lists."""
    steps = dict[int, tuple[float, float, Policy]]()
    for policy in build_policies(top):
        figures = measure_ranking(tuning, policy, top)
        entry = (figures["changed"], figures["mean_depth"], policy)
        step = int(figures["mean_depth"] * STEPS_A_DEPTH)
        steps[step] = min(steps.get(step, entry), entry, key=lambda found: found[:2])
    kept = list[tuple[float, float, Policy]]()
    for _, entry in sorted(steps.items()):  # cheapest first
        if not kept or entry[0] <= kept[-1][0]:
            kept.append(entry)
    return [FULL, *(policy for _, _, policy in reversed(kept))]


def certify_ranking(
    ordered: Sequence[Policy], measured: RankingOutputs, top: int, risk: float, error: float
) -> tuple[Policy, Certificate]:
    """Return the last policy of a sequence that passes its test, and its certificate, as :func:`certify` does."""
    n = len(measured)
    passed = ordered[0], Certificate(LOSS, risk, error, n, 0, compute_p_value(0, n, risk), top=top)
    for policy in ordered[1:]:
        changed = int(measured.replay(policy).find_changed(top).sum())
        p = compute_p_value(changed, n, risk)
        if p > error:
            break
        passed = policy, Certificate(LOSS, risk, error, n, changed, p, top=top)
    return passed


def find_least_changing(tuning: RankingOutputs, top: int, speedup: float) -> Policy:
    """Return the policy that changes the fewest lists with at least this layer speed-up.

    Raises:
        InputError: none is that fast.
    """
    found = [(measure_ranking(tuning, policy, top), policy) for policy in build_policies(top)]
    fast = [(figures["changed"], figures["mean_depth"], str(policy)) for figures, policy in found]
    fits = [
        (entry, policy)
        for entry, (figures, policy) in zip(fast, found, strict=True)
        if figures["layer_speedup"] >= speedup
    ]
    if not fits:
        most = max(figures["layer_speedup"] for figures, _ in found)
        raise InputError(f"no list-wise policy has a layer speed-up of {speedup:g} for a top {top}; at most {most:g}")
    return min(fits, key=lambda fit: fit[0])[1]


def measure_ranking(outputs: RankingOutputs, policy: Policy, top: int) -> dict[str, Any]:
    """Return the share of lists whose highest texts change, and the cost."""
    replayed = outputs.replay(policy)
    mean = float(replayed.depth.mean())
    return {
        "n": len(outputs),
        "texts": len(replayed.depth),
        "top": top,
        "changed": round(float(replayed.find_changed(top).mean()), 4),
        "mean_depth": round(mean, 3),
        "layer_speedup": round(outputs.outputs.shape[1] / mean, 3),
    }


def measure_fixed_depths(outputs: RankingOutputs, top: int) -> list[dict[str, Any]]:
    """Return the figures of every fixed depth, the baseline."""
    return [measure_ranking(outputs, fixed_depth(depth), top) for depth in range(1, outputs.outputs.shape[1] + 1)]


def hash_lists(lists: Sequence[tuple[Any, Any]]) -> str:
    """Return the SHA-256 of lists as JSON lines."""
    digest = hashlib.sha256()
    for query, texts in lists:
        digest.update(json.dumps([query, list(texts)]).encode() + b"\n")
    return digest.hexdigest()
