"""Deciding about many policies together: the same as each policy on its own rows."""

import numpy as np
import pytest

from elbert.exits import STAY, Trace, policy
from elbert.exits.joint_decision import decide_jointly
from elbert.inference.step import decide_one_by_one


def random_outputs(rng, rows, depths, classes, multi_label):
    """Probabilities that walk from depth to depth, with exact ties here and there."""
    logits = np.cumsum(rng.normal(0, 1, (rows, depths, classes)), axis=1)
    outputs = 1 / (1 + np.exp(-logits))
    if not multi_label:
        outputs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return np.where(rng.random((rows, 1, 1)) < 0.3, outputs.round(1), outputs).astype(np.float32)


def random_policy(rng, depths):
    """A union of policies of every kind, some at temperatures, some at temperatures inside others."""
    value, size = (lambda: round(rng.random(), 2)), (lambda: int(rng.integers(1, depths + 2)))
    kinds = [
        lambda: f"depth({min(size(), depths)})",
        lambda: f"entropy({value()})",
        lambda: f"confidence({value()})",
        lambda: f"gap({value()})",
        lambda: f"patience({size() - 1})",
        lambda: f"patient_confidence({size()}, {value()})",
        lambda: f"divergence({size()}, {value() / 2})",
        *(
            lambda rule=rule: f"window({value() / 4}, {size()}, {rule}, {value() / 4}, {value() / 2})"
            for rule in ("agree", "trend", "stable")
        ),
        lambda: "full",
    ]

    def draw(level):
        spec = " | ".join(kinds[rng.integers(len(kinds))]() for _ in range(rng.integers(1, 4)))
        if level < 2 and rng.random() < 0.3:
            spec = f"tempered({draw(level + 1)}, {', '.join(str(t) for t in rng.uniform(0.5, 2, 2).round(1))})"
        return spec

    return policy(draw(0))


def live_trace(rng, rows, depths, classes, multi_label, deepest=None):
    """Live rows at any depths, with their probabilities so far."""
    outputs = random_outputs(rng, rows, depths, classes, multi_label)
    trace = Trace.start(rows, depths, classes, multi_label=multi_label)
    depth = rng.integers(1, (deepest or depths) + 1, rows)
    filled = np.where(np.arange(depths)[None, :, None] < depth[:, None, None], outputs, 0).astype(np.float32)
    trace.probabilities[:] = filled
    return Trace(depth, trace.probabilities, multi_label)


def assert_same(trace, policies, policy_of_row, depths):
    joint, joint_reasons = decide_jointly(trace, policies, policy_of_row, depths)
    single, reasons = decide_one_by_one(trace, tuple(policies), policy_of_row)
    assert joint_reasons == reasons
    early = trace.depth < depths  # the others exit for the reason "last"
    np.testing.assert_array_equal(joint[early], single[early])
    return joint


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("depths", [2, 6, 12])
def test_joint_decisions_equal_those_of_each_policy(depths, classes, multi_label):
    rng, decided = np.random.default_rng([depths, classes, multi_label]), 0
    for _ in range(25):
        policies = [random_policy(rng, depths) for _ in range(rng.integers(1, 40))]
        rows = int(rng.integers(1, 60))
        trace = live_trace(rng, rows, depths, classes, multi_label)
        decision = assert_same(trace, policies, rng.integers(0, len(policies), rows), depths)
        decided += int((decision != STAY).sum())
    assert decided


def test_special_policies():
    specs = [
        "full",
        "depth(3)",
        "depth(1)",
        "patience(0)",
        "patience(900)",
        "window(entropy=0, size=1)",
        "window(entropy=0, size=1, rule=trend)",
        "tempered(gap(0.5) | tempered(window(entropy=0, size=2), 0.7, 1.1), 1.5) | depth(5)",
        "tempered(full, 2)",
        "tempered(entropy(0.3), 0.5, 0.9)",
        "entropy(0.3) | entropy(0.3)",
        "confidence(0.5) | divergence(2, 0.3) | depth(2)",
    ]
    policies, rng = [policy(spec) for spec in specs], np.random.default_rng(3)
    for deepest in (1, 3, 6):
        trace = live_trace(rng, 120, 6, 2, False, deepest)
        assert_same(trace, policies, np.arange(120) % len(policies), 6)
    assert_same(live_trace(rng, 5, 6, 2, False), policies[:1], np.zeros(5, int), 6)
    trace = live_trace(rng, 5, 6, 2, False)
    trace.probabilities[2] = np.nan
    assert_same(trace, policies, np.arange(5), 6)


def test_rows_are_not_changed():
    rng = np.random.default_rng(0)
    trace = live_trace(rng, 30, 6, 3, False)
    before = trace.probabilities.copy()
    assert_same(trace, [policy("tempered(entropy(0.2), 2)"), policy("gap(0.1)")], np.arange(30) % 2, 6)
    np.testing.assert_array_equal(trace.probabilities, before)


def test_the_cost_does_not_grow_with_the_number_of_policies(monkeypatch):
    """The number of signals that are computed is that of their kinds, however many policies read them."""
    rng, computed = np.random.default_rng(0), []
    compute = Trace._signal
    monkeypatch.setattr(Trace, "_signal", lambda *about: computed.append(about[1]) or compute(*about))
    for count in (4, 100):
        computed.clear()
        policies = [policy(f"entropy({n / 1000}) | window(entropy=0, size={2 + n % 3})") for n in range(count)]
        decide_jointly(live_trace(rng, 100, 6, 2, False), policies, np.arange(100) % count, 6)
        assert len(computed) <= 4
