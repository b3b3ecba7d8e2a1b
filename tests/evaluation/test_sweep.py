"""Sweeps against one replay at a time, and what is read off them against plain loops."""

import numpy as np
import pytest
from evaluation_outputs import random_outputs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from elbert.errors import InputError
from elbert.evaluation.report import score_policy
from elbert.evaluation.statistics import mcnemar, mean_interval
from elbert.evaluation.sweep import (
    SweepResult,
    Trials,
    build_families,
    expand_family,
    find_front,
    sweep,
)
from elbert.evaluation.temperature import fit_temperatures, negative_log_likelihood
from elbert.exits import FULL, fixed_depth, policy, replay
from elbert.exits.policies import Window, list_families
from elbert.exits.rules import Depths, Family
from elbert.exits.trace import apply_temperatures


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_a_sweep_is_many_evaluations(problem):
    outputs = random_outputs(n=80, depths=5, problem=problem)
    few = {name: policies[:: len(policies) // 12 + 1] for name, policies in build_families(5).items()}
    for name, swept in sweep(outputs, few).items():
        for i, chosen in enumerate(few[name]):
            plain = score_policy(outputs, "", chosen)
            assert swept.mean_depth[i] == pytest.approx(plain.mean_depth)
            assert swept.score[i] == pytest.approx(plain.metrics["accuracy"])


def test_every_family_reaches_from_the_first_depth_to_the_last():
    for depths in (1, 2, 12, 24):
        for name, policies in build_families(depths).items():
            assert {FULL, fixed_depth(1)} <= set(policies), name
            assert all(policy(str(p)) == p for p in policies[:: len(policies) // 50 + 1])
    assert sum(map(len, build_families(12).values())) > 20_000
    assert list(build_families(12, ["patience", "gap"])) == ["patience", "gap"]
    with pytest.raises(InputError, match=r"unknown family of policies 'windows'; expected some of window, .*patience"):
        build_families(12, ["windows"])


def test_no_family_hides_a_duplicate_name():
    families = list_families()
    assert len(families) == len({name.strip().lower() for name in families})
    assert len({(family.colour, family.dash, family.marker) for family in families.values()}) == len(families)


costs = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), min_size=1, max_size=12)


@pytest.mark.parametrize("size", [2, 4])
def test_gap_or_window_is_the_window_at_two_classes_and_another_at_three(size):
    def both(classes):
        outputs = random_outputs(n=400, classes=classes)
        grids = (("gap", {"threshold": (0.6,)}), ("window", {"entropy": (0.0,), "size": Depths(2)}))
        (ours,) = (p for p in expand_family(Family("union", grids), 6) if f"size={size}," in str(p))
        papers = Window(entropy=stats.entropy([0.8, 0.2], base=2), size=size)
        return replay(outputs.probabilities, ours), replay(outputs.probabilities, papers)

    ours, papers = both(2)
    assert set(ours) > {1, size}
    assert (ours == papers).all()
    ours, papers = both(3)
    assert (ours != papers).any()


@given(costs)
def test_no_point_beats_the_front(points):
    cost, gain = np.array(points, float).T
    found = find_front(cost, gain)
    beaten = {
        i
        for i in range(len(points))
        for j in range(len(points))
        if cost[j] <= cost[i] and gain[j] >= gain[i] and (cost[j], gain[j]) != (cost[i], gain[i])
    }
    assert {points[i] for i in found} == {p for i, p in enumerate(points) if i not in beaten}
    assert [cost[i] for i in found] == sorted({cost[i] for i in found})


@given(costs, st.sampled_from([1.0, 1.5, 2.0, 4.0, 8.0]))
@settings(max_examples=200)
def test_the_best_at_a_speedup_and_the_fastest_within_a_loss(points, speedup):
    cost, gain = np.array(points, float).T
    swept = SweepResult([policy("full")] * len(points), cost, gain / 8, 8)
    fast = [i for i in range(len(points)) if 8 / cost[i] >= speedup - 1e-9]
    found = swept.at(speedup)
    if found is None:
        assert not fast
    else:
        assert found in fast
        assert gain[found] == max(gain[i] for i in fast)
        assert cost[found] == min(cost[i] for i in fast if gain[i] == gain[found])
    good = [i for i in range(len(points)) if gain[i] / 8 >= 0.5]
    if good:
        assert cost[swept.within(0.5)] == min(cost[i] for i in good)
    else:
        with pytest.raises(InputError, match="no policy reaches"):
            swept.within(0.5)
    # The area, by small steps.
    steps = np.linspace(cost.min(), 8, 4001)[:-1]
    best = [max(gain[i] for i in range(len(points)) if cost[i] <= s + 1e-12) / 8 for s in steps]
    assert swept.area == pytest.approx(np.mean(best), abs=2e-3)


def test_equal_cost_is_equal_cost():
    swept = SweepResult([policy("full")] * 4, np.array([1.0, 3.9, 4.1, 8.0]), np.array([0.9, 0.8, 0.8, 0.7]), 8)
    assert swept.at(2) == 0  # looked good here, and is four times as fast
    assert swept.near(2) == 2  # of equals the deepest
    assert SweepResult([policy("full")] * 2, np.array([1.0, 8.0]), np.array([0.5, 0.7]), 8).near(2) == 0


def test_trials_look_up_the_answer_where_a_row_leaves(outputs):
    trials, chosen = Trials(outputs), policy("entropy(0.5)")
    depth = replay(outputs.probabilities, chosen)
    assert trials.depth(chosen).tolist() == depth.tolist()
    right = [outputs.probabilities[i, d - 1].argmax() == outputs.labels[i] for i, d in enumerate(depth)]
    assert trials.correct(chosen).tolist() == right


@pytest.mark.parametrize("n", [30, 400])
def test_the_interval_is_the_bootstraps(n):
    values = np.random.default_rng(n).choice([-1, 0, 1], n, p=[0.1, 0.75, 0.15])
    ours = mean_interval(values)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(1))
    assert ours.value == values.mean()
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=2.1 / n)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=2.1 / n)


def test_an_interval_of_one_value_is_that_value():
    interval = mean_interval(np.zeros(5))
    assert (interval.value, interval.low, interval.high) == (0, 0, 0)


def test_mcnemar_counts_only_where_they_differ():
    a = np.array([1] * 50 + [1] * 9 + [0] * 1 + [0] * 20, bool)
    b = np.array([1] * 50 + [0] * 9 + [1] * 1 + [0] * 20, bool)
    assert mcnemar(a, b) == pytest.approx(2 * sum(stats.binom.pmf(k, 10, 0.5) for k in (0, 1)))
    assert mcnemar(a, a) == 1


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_fitted_temperatures_are_the_likeliest(problem):
    outputs = random_outputs(n=300, depths=3, problem=problem)
    fitted = fit_temperatures(outputs)
    for depth, temperature in enumerate(fitted):

        def loss(t, depth=depth):
            probabilities = outputs.probabilities[:, depth : depth + 1].astype(float)
            return negative_log_likelihood(apply_temperatures(probabilities, (t,), outputs.multi_label)[:, 0], outputs)

        assert all(loss(temperature) <= loss(t) + 1e-6 for t in (0.1, 0.5, 1.0, 2.0, 5.0, temperature * 1.1))


def test_a_temperature_mends_what_a_temperature_broke():
    outputs = random_outputs(n=2000, depths=2)
    rng = np.random.default_rng(0)
    labels = np.array([rng.choice(3, p=p / p.sum()) for p in outputs.probabilities[:, 1].astype(float)])
    sharp = apply_temperatures(outputs.probabilities.astype(float), (1.0, 0.5), False).astype(np.float32)
    broken = type(outputs)(sharp, labels, outputs.tokens, outputs.label_names, outputs.problem)
    assert fit_temperatures(broken)[1] == pytest.approx(2.0, rel=0.1)


def test_splits_are_the_same_every_time_and_lose_nothing(outputs):
    first, rest = outputs.split(0.3)
    assert (len(first), len(rest)) == (60, 140)
    both = np.concatenate((first.probabilities, rest.probabilities))
    assert sorted(map(bytes, both)) == sorted(map(bytes, outputs.probabilities))
    assert np.array_equal(outputs.split(0.3)[0].labels, first.labels)
    with pytest.raises(InputError, match="between 0 and 1"):
        outputs.split(1)


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_without_labels_full_depth_is_right(problem):
    plain = random_outputs(problem=problem).unlabelled()
    assert Trials(plain).right[:, -1].all()
    assert not Trials(plain).right.all()
