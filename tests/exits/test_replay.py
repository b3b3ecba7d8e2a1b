"""Replay takes outputs as people have them: other types, other orders of memory, read-only, empty."""

import numpy as np
import pytest
import torch

from elbert.errors import InputError, PolicyError
from elbert.exits import check_policy, policy, replay, replay_exits

SPEC = "entropy(0.6) | patience(2)"


@pytest.fixture
def outputs():
    p = np.random.default_rng(0).dirichlet((1, 1, 1), (50, 6))
    return np.asarray(p, np.float32)


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


FORMS = {
    "read-only": frozen,
    "backwards": lambda a: a[::-1].copy()[::-1],
    "columns first": np.asfortranarray,
    "other bytes": lambda a: a.astype(">f4"),
    "double": lambda a: a.astype(np.float64),
    "a list": lambda a: a.tolist(),
    "a tensor": torch.tensor,
    "a tensor with gradients": lambda a: torch.tensor(a, requires_grad=True),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_leaves_at_the_same_depths(outputs, form):
    expected = replay(outputs, SPEC)
    assert 50 < expected.sum() < 300
    converted = form(outputs)
    assert replay(converted, SPEC).tolist() == expected.tolist()


def test_outputs_are_left_as_they_are(outputs):
    before = outputs.copy()
    replay(outputs, SPEC)
    assert np.array_equal(outputs, before)


def test_whole_numbers_are_numbers():
    sure = np.zeros((2, 3, 2), int)
    sure[..., 1] = 1
    assert replay(sure, "entropy(0.1)").tolist() == [1, 1]


def test_no_rows_leave_nowhere():
    depths, reasons = replay_exits(np.zeros((0, 6, 2)), SPEC)
    assert (depths.shape, reasons) == ((0,), [])


@pytest.mark.parametrize("wrong", [np.zeros((2, 0, 3)), np.zeros((2, 3)), np.zeros(()), [], np.full((1, 2, 2), "x")])
def test_what_is_no_output_is_refused(wrong):
    with pytest.raises(InputError, match=r"outputs are \[n, depths, classes\]"):
        replay(wrong, "full")


def test_a_policy_that_a_model_cannot_follow():
    deep = policy("entropy(0.1) | depth(9)")
    assert check_policy(deep, 9) is deep
    with pytest.raises(PolicyError, match=r"depth\(9\): this model has 8 depths; accepted is depth\(1\) to depth\(8\)"):
        check_policy(deep, 8)
    for spec in ("full", "depth(3)"):
        assert check_policy(policy(spec), 6, "values") == policy(spec)
    for spec in ("patience(2)", "depth(2) | patience(2)", "tempered(depth(2), 2.0)"):
        with pytest.raises(PolicyError, match="does not fit a model whose outputs are values; fitting: full, depth"):
            check_policy(policy(spec), 6, "values")


def test_policies_join_only_policies():
    with pytest.raises(TypeError):
        policy("full") | "depth(3)"
