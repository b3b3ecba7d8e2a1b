"""Evaluation against the measures written the long way, and against counting by hand."""

from collections import Counter

import numpy as np
import pytest
from evaluation_outputs import random_outputs
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_measures import (
    accuracy,
    correlation,
    f1,
    matthews,
    multi_label,
    oracle_depths,
    ranks,
    single_label_ece,
    top,
)

from elbert.errors import DataError, PolicyError
from elbert.evaluation import Outputs, evaluate
from elbert.exits import policy, replay_exits

SPECS = ["full", "depth(3)", "entropy(0.4)", "patience(2)", "window(entropy=0.2, size=3) | depth(5)"]
MULTI = "multi_label_classification"


def policies(*specs):
    return {spec: policy(spec) for spec in specs}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), classes=st.integers(2, 4))
def test_single_label_metrics_of_every_depth(seed, n, classes):
    outputs = random_outputs(seed, n=n, classes=classes)
    labels = outputs.labels.tolist()
    report = evaluate(outputs, {})
    assert (report.n, report.problem, len(report.by_depth)) == (n, "single_label_classification", 6)
    for depth, metrics in enumerate(report.by_depth):
        answers = outputs.probabilities[:, depth].tolist()
        assert metrics == {
            "accuracy": pytest.approx(accuracy(answers, labels)),
            "f1": pytest.approx(f1(answers, labels)),
            "matthews": pytest.approx(matthews(answers, labels), abs=1e-9),
            "ece": pytest.approx(single_label_ece(answers, labels), abs=1e-6),
        }


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), classes=st.integers(1, 4))
def test_multi_label_metrics_of_every_depth(seed, n, classes):
    outputs = random_outputs(seed, n=n, classes=classes, problem=MULTI)
    for depth, metrics in enumerate(evaluate(outputs, {}).by_depth):
        exact, micro, calibration = multi_label(outputs.probabilities[:, depth].tolist(), outputs.labels.tolist())
        assert metrics == {
            "accuracy": pytest.approx(exact),
            "f1": pytest.approx(micro),
            "ece": pytest.approx(calibration, abs=1e-6),
        }


def test_regression_metrics_of_every_depth():
    outputs = random_outputs(3, classes=1, problem="regression")
    report = evaluate(outputs, policies("full"))
    for depth, metrics in enumerate(report.by_depth):
        probabilities, labels = outputs.probabilities[:, depth, 0].tolist(), outputs.labels.tolist()
        error = sum((a - b) ** 2 for a, b in zip(probabilities, labels, strict=True)) / len(labels)
        assert metrics == {
            "pearson": pytest.approx(correlation(probabilities, labels)),
            "spearman": pytest.approx(correlation(ranks(probabilities), ranks(labels))),
            "rmse": pytest.approx(error**0.5),
        }
    assert report.policies[0].metrics == report.by_depth[-1]
    assert (report.oracles, report.overthinking) == ([], None)
    with pytest.raises(PolicyError, match="does not fit a model whose outputs are values; fitting: full, depth"):
        evaluate(outputs, policies("entropy(0.1)"))


@pytest.mark.parametrize("problem", ["single_label_classification", MULTI])
def test_policies_by_counting(problem):
    outputs = random_outputs(7, problem=problem)
    report = evaluate(outputs, policies(*SPECS))
    assert [p.policy for p in report.policies] == SPECS
    for found in report.policies:
        depths, reasons = replay_exits(outputs.probabilities, found.policy, multi_label=problem == MULTI)
        depths = depths.tolist()
        assert found.depths == dict(Counter(depths))
        assert list(found.depths) == sorted(found.depths)
        assert found.reasons == dict(Counter(reasons))
        assert sum(found.depths.values()) == sum(found.reasons.values()) == report.n
        assert found.mean_depth == pytest.approx(sum(depths) / len(depths))
        assert found.layer_speedup == pytest.approx(6 * len(depths) / sum(depths))
        probabilities = [outputs.probabilities[i, d - 1].tolist() for i, d in enumerate(depths)]
        labels = outputs.labels.tolist()
        right = multi_label(probabilities, labels)[0] if problem == MULTI else accuracy(probabilities, labels)
        assert found.metrics["accuracy"] == pytest.approx(right)


def test_a_fixed_depth_is_the_row_of_that_depth(outputs):
    report = evaluate(outputs, policies(*(f"depth({k})" for k in range(1, 7)), "full"))
    for depth, found in enumerate(report.policies[:-1], 1):
        assert found.metrics == report.by_depth[depth - 1]
        assert found.mean_depth == depth
        assert found.reasons == {"depth" if depth < 6 else "last": 200}
    assert report.policies[-1].metrics == report.policies[-2].metrics


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 30), multi=st.booleans())
def test_oracles_and_overthinking_by_brute_force(seed, n, multi):
    outputs = random_outputs(seed, n=n, problem=MULTI if multi else "single_label_classification")
    decide = (lambda p: [int(x > 0.5) for x in p]) if multi else top
    decisions = [[decide(p) for p in row] for row in outputs.probabilities.tolist()]
    labels = outputs.labels.tolist()
    report = evaluate(outputs, {})
    assert [o.name for o in report.oracles] == ["earliest correct", "earliest as the last", "earliest settled"]
    for which, oracle in enumerate(report.oracles):
        depths = [oracle_depths(row, y)[which] for row, y in zip(decisions, labels, strict=True)]
        right = [row[d - 1] == y for row, d, y in zip(decisions, depths, labels, strict=True)]
        assert oracle.mean_depth == pytest.approx(sum(depths) / n)
        assert oracle.accuracy == pytest.approx(sum(right) / n)
    over = [y in row and row[-1] != y for row, y in zip(decisions, labels, strict=True)]
    assert report.overthinking == pytest.approx(sum(over) / n)


def test_an_oracle_bounds_every_policy(outputs):
    report = evaluate(outputs, policies(*SPECS))
    best, agrees, settled = report.oracles
    assert best.accuracy >= max(p.metrics["accuracy"] for p in report.policies)
    assert best.accuracy == pytest.approx(report.by_depth[-1]["accuracy"] + report.overthinking)
    assert agrees.accuracy == settled.accuracy == pytest.approx(report.by_depth[-1]["accuracy"])
    assert agrees.mean_depth <= settled.mean_depth


def test_one_class_throughout_is_no_correlation_and_no_warning():
    probabilities = np.tile(np.array([0.9, 0.1], np.float32), (5, 2, 1))
    for label in (0, 1):
        report = evaluate(Outputs(probabilities, np.full(5, label), np.ones(5, int), ("a", "b"), SINGLE), {})
        assert report.by_depth[0]["matthews"] == 0
        assert report.by_depth[0]["accuracy"] == 1 - label
        assert report.by_depth[0]["ece"] == pytest.approx(0.1 if label == 0 else 0.9, abs=1e-6)


SINGLE = "single_label_classification"


def test_nothing_to_evaluate():
    empty = Outputs(np.zeros((0, 6, 2), np.float32), np.zeros(0, int), np.zeros(0, int), ("a", "b"), SINGLE)
    with pytest.raises(DataError, match="no labelled texts"):
        evaluate(empty, {})


def test_a_depth_that_the_model_has_not(outputs):
    with pytest.raises(PolicyError, match="this model has 6 depths"):
        evaluate(outputs, policies("depth(7)"))
