"""Temperatures: a policy over calibrated probabilities, live and replayed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elbert.errors import PolicyError
from elbert.exits import Trace, policy, replay, replay_exits
from elbert.exits.trace import apply_temperatures

INNER = ["entropy(0.4)", "window(entropy=0.2, size=2, margin=0.1)", "gap(0.5) | patience(2)", "divergence(1, 0.02)"]


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@given(
    st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 5), st.lists(st.floats(0.2, 5), min_size=1, max_size=6)
)
def test_temperatures_divide_logits(seed, depths, classes, temperatures):
    z = np.random.default_rng(seed).normal(0, 2, (7, depths, classes))
    expected = [softmax(z[:, m] / temperatures[min(m, len(temperatures) - 1)]) for m in range(depths)]
    got = apply_temperatures(softmax(z), temperatures, multi_label=False)
    assert np.allclose(got, np.stack(expected, 1), atol=1e-9)


def test_labels_of_their_own_are_tempered_each_by_itself():
    z = np.random.default_rng(0).normal(0, 2, (5, 3, 4))
    got = apply_temperatures(1 / (1 + np.exp(-z)), [2.0, 0.5, 1.0], multi_label=True)
    assert np.allclose(got, 1 / (1 + np.exp(-z / np.array([2.0, 0.5, 1.0])[:, None])))


def test_certainty_and_silence_stay_what_they_are():
    saved = np.array([[[1.0, 0.0], [0.0, 0.0]]])
    assert apply_temperatures(saved, [3.0], False).tolist() == saved.tolist()


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("multi_label", [False, True])
def test_replay_is_that_of_the_tempered_outputs(inner, multi_label):
    saved = np.random.default_rng(1).dirichlet((1, 1, 1), (200, 5)).astype(np.float32)
    warm = (1.7, 0.8, 1.2)
    spec = f"tempered({inner}, {', '.join(map(str, warm))})"
    expected = replay_exits(apply_temperatures(saved, warm, multi_label), inner, multi_label=multi_label)
    got = replay_exits(saved, spec, multi_label=multi_label)
    assert got[0].tolist() == expected[0].tolist()
    assert got[1] == expected[1]
    assert len(set(got[0].tolist())) > 2


@pytest.mark.parametrize("inner", INNER)
def test_live_decides_as_replay_does(inner):
    saved = np.random.default_rng(2).dirichlet((1, 1), (60, 6)).astype(np.float32)
    chosen = policy(f"tempered({inner}, 2.0, 1.5)")
    exits = replay(saved, chosen)
    trace = Trace.start(60, 6, 2)
    for depth in range(1, 6):
        trace = trace.record(saved[:, depth - 1])
        # A row that stays in the trace after it left would leave again, or not: only the first time counts.
        first = exits == depth
        assert chosen.leaves(trace)[first].all()
        assert not chosen.leaves(trace)[exits > depth].any()


def test_one_is_no_temperature():
    saved = np.random.default_rng(3).dirichlet((1, 1, 1), (100, 4)).astype(np.float32)
    assert replay(saved, "tempered(patience(1) | confidence(0.7), 1.0)").tolist() == (
        replay(saved, "patience(1) | confidence(0.7)").tolist()
    )


def test_spec_and_back():
    chosen = policy("tempered(window(size=3) | depth(4), 1.25, 0.9) | patience(5)")
    assert policy(str(chosen)) == chosen
    assert chosen.reasons == ("entropy", "window", "depth", "patience")


@pytest.mark.parametrize(
    "wrong",
    ["tempered", "tempered()", "tempered(full)", "tempered(full, 0)", "tempered(full, warm)", "tempered(full, True)",
     "tempered(full, T=1)", "tempered(entropy(2), 1)", "tempered(1.0, 1.0)", "tempered(full, 1e9)"],
)  # fmt: skip
def test_wrong_ones_are_refused_in_one_line(wrong):
    with pytest.raises(PolicyError) as caught:
        policy(wrong)
    assert "\n" not in str(caught.value)
