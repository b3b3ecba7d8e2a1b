"""The cost of a policy that a client names: bounded by the model's depths, whatever its form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elbert.errors import PolicyError
from elbert.exits import POLICIES, Replay, Trace, check_policy, policy, replay
from elbert.exits.spec import MAX_SPEC_LENGTH, MIN_VALUES, VALUES_PER_DEPTH, count_values


def fill(piece):
    """A union of as many members as fit into a spec."""
    parts = []
    while len("|".join([*parts, part := piece(len(parts))])) <= MAX_SPEC_LENGTH:
        parts.append(part)
    return "|".join(parts)


HOSTILE = {
    "large windows": fill(lambda i: f"window(0,{1000 - i},stable,0.5,0)"),
    "large patience": fill(lambda i: f"patience({1000 - i})"),
    "large divergence": fill(lambda i: f"divergence({1000 - i},0)"),
    "windows of all depths": fill(lambda i: f"window(0.{i:02d},11,stable,0.5,0)"),
    "divergence over all depths": fill(lambda i: f"divergence(11,0.{i:03d})"),
    "many temperatures": fill(lambda i: f"tempered(gap(1),{1 + i / 10:.1f})"),
    "temperatures inside temperatures": "tempered(" * 40 + "entropy(0)" + ",1)" * 40,
    "unions inside temperatures": "tempered(" * 20
    + "|".join(f"divergence(9,0.{i})" for i in range(1, 10))
    + ",1)" * 20,
}


@pytest.mark.parametrize("depths", [6, 12, 24])
@pytest.mark.parametrize("spec", HOSTILE.values(), ids=HOSTILE)
def test_costly_policies_are_refused_in_one_line(spec, depths):
    with pytest.raises(PolicyError) as error:
        check_policy(policy(spec), depths)
    assert "\n" not in str(error.value)
    assert "accepted" in str(error.value)


@pytest.mark.parametrize("depths", [1, 2, 6, 12, 24, 48])
def test_usual_policies_are_accepted_at_any_number_of_depths(depths):
    most = depths
    for spec in (
        "full",
        f"depth({most})",
        f"patience({most})",
        f"patient_confidence({most}, 0.1)",
        f"divergence({most}, 0.01)",
        *(f"window(size={most}, rule={rule})" for rule in ("agree", "trend", "stable")),
        f"tempered(window(size={most}), 1.2, 0.9) | depth({most})",
        "entropy(0.1) | confidence(0.9) | gap(0.8) | patience(1) | depth(1)",
    ):
        assert check_policy(policy(spec), depths) == policy(spec)
        assert count_values(policy(spec), depths) <= max(VALUES_PER_DEPTH * depths, MIN_VALUES)


WINDOWS = {
    "patience": "patience({})",
    "patient_confidence": "patient_confidence({}, 0.2)",
    "divergence": "divergence({}, 0.2)",
    "window": "window(entropy=0, size={}, rule=stable)",
}
WRAPS = pytest.mark.parametrize("wrap", ["{}", "{} | entropy(0)", "tempered({}, 2)", "tempered(gap(1) | {}, 2)"])


@WRAPS
def test_a_depth_that_the_model_does_not_have_is_refused_with_the_range(wrap):
    check_policy(policy(wrap.format("depth(6)")), 6)
    for number in (7, 8, 1000):
        with pytest.raises(
            PolicyError, match=r"depth\(\d+\): this model has 6 depths; accepted is depth\(1\) to depth\(6\)"
        ):
            check_policy(policy(wrap.format(f"depth({number})")), 6)


@WRAPS
@pytest.mark.parametrize("form", WINDOWS.values(), ids=WINDOWS)
def test_a_window_longer_than_the_model_never_fires_and_costs_no_more_than_one_of_all_depths(form, wrap):
    """The policies of a bundle or of an example work on models of any depth."""
    saved = np.random.default_rng(0).dirichlet((1, 1, 1), (50, 6)).astype(np.float32)
    for number in (8, 1000):
        chosen = check_policy(policy(wrap.format(form.format(number))), 6)
        assert replay(saved, chosen).tolist() == [6] * 50
        assert count_values(chosen, 6) <= count_values(policy(wrap.format(form.format(7))), 6)


VALUE_WINDOWS = {"settled": "settled({}, 0.2)", "stable": "stable({}, 0.2)"}


@pytest.mark.parametrize("form", VALUE_WINDOWS.values(), ids=VALUE_WINDOWS)
def test_a_long_window_of_values_never_fires_and_costs_no_more(form):
    saved = Replay(np.random.default_rng(0).normal(size=(50, 6, 1)).astype(np.float32), content="values")
    for number in (8, 1000):
        chosen = check_policy(policy(form.format(number)), 6, "values")
        assert saved.exits(chosen).tolist() == [6] * 50
        assert count_values(chosen, 6) <= count_values(policy(form.format(7)), 6)


def test_every_kind_with_a_number_of_depths_is_tested_above():
    with_sizes = {kind.name for kind in POLICIES.values() if any(dial.type is int for dial in kind.dials)}
    assert with_sizes == {*WINDOWS, *VALUE_WINDOWS, "depth"}


def test_a_union_holds_each_member_once():
    assert policy("|".join(["patience(5)"] * 30)) == policy("patience(5)")
    assert len(policy("gap(0.1) | " + "|".join(["depth(3)"] * 40)).rules) == 2


@settings(max_examples=150, deadline=None)
@given(data=st.data(), depths=st.sampled_from([1, 6, 12]))
def test_what_is_accepted_computes_few_signals(data, depths):
    """The bound is one on the numbers that a decision really reads."""
    leaf = st.sampled_from(
        ["entropy(0)", "gap(1)", "confidence(1)", "patience({})", "divergence({},0)", "window(0,{},stable,0.5,0)"]
    ).flatmap(lambda form: st.integers(1, depths).map(lambda size: form.format(size)))
    spec = data.draw(
        st.recursive(
            leaf,
            lambda inner: (
                st.lists(inner, min_size=2, max_size=4).map(" | ".join)
                | st.tuples(inner, st.floats(0.5, 2).map(lambda t: round(t, 1))).map(
                    lambda p: f"tempered({p[0]}, {p[1]})"
                )
            ),
            max_leaves=12,
        )
    )
    if len(spec) > MAX_SPEC_LENGTH:
        return
    try:
        chosen = check_policy(policy(spec), depths)
    except PolicyError:
        assert count_values(policy(spec), depths) > max(VALUES_PER_DEPTH * depths, MIN_VALUES)
        return
    read = []

    class Counting(Trace):
        def window(self, name, size):
            read.append(size)
            return super().window(name, size)

    rng = np.random.default_rng(0)
    trace = Counting(np.full(3, depths), rng.random((3, depths, 2)).astype(np.float32))
    chosen.decide(trace)
    assert sum(read) <= max(VALUES_PER_DEPTH * depths, MIN_VALUES) + depths
