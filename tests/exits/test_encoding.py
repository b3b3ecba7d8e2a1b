"""The table as JSON and policies as arrays: an interpreter of nothing but these decides as the replay does."""

import json
import math

import numpy as np
import pytest
from test_policies import random_outputs

from elbert.exits import POLICIES, Trace, policy, replay_exits
from elbert.exits.conditions import COMPARISONS, CONDITIONS
from elbert.exits.encoding import lower_policy, policy_table
from elbert.exits.signals import SIGNALS

SPECS = [
    "full",
    "depth(3)",
    "entropy(0.4)",
    "patience(0)",
    "patience(2) | confidence(0.8)",
    "patient_confidence(2, 0.5)",
    "divergence(2, 0.05)",
    "window(entropy=0.1, size=3, margin=0.1)",
    "window(entropy=0, size=3, rule=trend)",
    "window(entropy=0, size=4, rule=stable, range=0.2)",
    "window(entropy=0, size=40)",
    "tempered(gap(0.5) | tempered(window(entropy=0, size=2), 0.7, 1.1), 1.5) | depth(6)",
]


def interpret(lowered, row):
    """``(depth, reason)`` of one row ``[depths, classes]``, from the arrays alone."""
    names, signs = list(SIGNALS), list(COMPARISONS.values())

    def read(signal, tempering):
        powers = 1 / lowered.temperatures[tempering] if tempering >= 0 else np.ones(len(row))
        p = row ** powers[:, None]
        trace = Trace.from_outputs((p / p.sum(-1, keepdims=True))[None])
        return trace.window(names[signal], len(row))[0]

    def holds(condition, threshold, m):
        _, kind, signal, sign, size, tempering = condition
        if m < size:
            return False
        if CONDITIONS[kind] == "at_depth":
            return True
        last = read(signal, tempering)[m - size : m]
        if CONDITIONS[kind] == "rising":
            return (np.diff(last) >= 0).all()
        if CONDITIONS[kind] == "spread":
            return np.ptp(last) <= threshold
        return signs[sign](last[:1] if CONDITIONS[kind] == "at_start" else last, threshold).all()

    for m in range(1, lowered.depths):
        for rule in dict.fromkeys(lowered.conditions[:, 0].tolist()):
            of_rule = np.flatnonzero(lowered.conditions[:, 0] == rule)
            if all(holds(lowered.conditions[i].tolist(), lowered.thresholds[i], m) for i in of_rule):
                return m, lowered.reasons[rule]
    return lowered.depths, "last"


@pytest.mark.parametrize("spec", SPECS)
def test_arrays_decide_as_the_replay(spec):
    saved = random_outputs(4, rows=25, depths=9, classes=3, walk=0.6)
    lowered = lower_policy(policy(spec), 9)
    depths, reasons = replay_exits(saved, spec)
    assert [interpret(lowered, row) for row in saved] == list(zip(depths.tolist(), reasons, strict=True))


@pytest.mark.parametrize(
    ("spec", "cost"),
    [
        ("full", 0),
        ("depth(3)", 0),
        ("entropy(0.1)", 1),
        ("patience(3)", 3),
        ("window(size=6)", 1 + 5 + 6),
        ("window(size=1000)", 1),
        ("patience(11)|patience(12)|patience(1000)", 11),
    ],
)
def test_cost_counts_signal_values_and_is_bounded_by_the_depths(spec, cost):
    assert lower_policy(policy(spec), 12).cost == cost


def test_the_table_is_json_without_special_numbers():
    table = json.loads(json.dumps(policy_table(), allow_nan=False))
    of_values = json.loads(json.dumps(policy_table("values"), allow_nan=False))
    names, value_names = ([kind["name"] for kind in some["policies"]] for some in (table, of_values))
    assert list(dict.fromkeys(names + value_names)) == list(POLICIES)
    assert set(names) & set(value_names) == {"full", "depth"}
    by_name = {kind["name"]: kind for kind in table["policies"]}
    assert by_name["divergence"]["dials"][1]["high"] == math.log(2)
    assert by_name["window"]["rules"][1]["conditions"][0]["size"] == {"dial": "size", "factor": 1, "plus": -1}
    families = {family["name"]: family for family in table["families"]}
    assert families["gap | window"]["grids"][1] == {
        "policy": "window",
        "axes": {"entropy": [0.0], "size": {"first": 2, "plus": 0, "least": 0}},
    }
    assert {signal["name"]: signal["first"] for signal in table["signals"]} | {"same": 0} == {
        name: "inf" if signal.first == math.inf else signal.first for name, signal in SIGNALS.items()
    } | {"same": 0}
