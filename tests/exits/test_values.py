"""Traces of values (regression): ``change`` and the spread of values, live and replayed; signals need their content."""

import numpy as np
import pytest

from elbert.errors import PolicyError
from elbert.exits import POLICIES, PolicyKind, Trace, policy
from elbert.exits.conditions import Of, held, spread
from elbert.exits.rules import Dial, Rule

LIMIT = Dial("limit", "Limit", high=10.0)
TIMES = Dial("times", "Times", int, 1, 100)
KINDS = {
    "still": Rule("still", (held("change", "<=", Of("limit"), Of("times")),)),
    "narrow": Rule("narrow", (spread("value", Of("limit"), Of("times")),)),
}


@pytest.fixture(autouse=True)
def _entries(monkeypatch):
    for name, form in KINDS.items():
        monkeypatch.setitem(POLICIES, name, PolicyKind(name, (LIMIT, TIMES), (form,), "it is settled"))


def values(outputs=1):
    return np.random.default_rng(0).normal(0, 1, (200, 8, outputs)).cumsum(1).astype(np.float32)


def plain_fires(row, spec, limit, times):
    """``row [depths so far, outputs]``."""
    if spec == "narrow":
        return len(row) >= times and np.ptp(row[-times:, 0]) <= limit
    steps = np.abs(np.diff(row, axis=0)).max(-1)
    return len(steps) >= times and (steps[-times:] <= limit).all()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("limit", "times"), [(0.5, 1), (1.0, 2), (2.0, 3), (10.0, 7)])
def test_values_live_and_replayed(name, limit, times):
    saved = values(outputs=2 if name == "still" else 1)
    chosen = policy(f"{name}({limit}, {times})")
    complete = Trace.from_outputs(saved, content="values")
    live = Trace.start(*saved.shape, content="values")
    fired = 0
    for depth in range(1, 9):
        live = live.record(saved[:, depth - 1])
        expected = [plain_fires(row[:depth], name, np.float32(limit), times) for row in saved]
        assert chosen.leaves(live).tolist() == expected
        assert chosen.leaves(complete.at(depth)).tolist() == expected
        fired += sum(expected)
    assert fired


def test_rows_keep_their_content():
    trace = Trace.start(3, 4, 1, content="values").record(np.ones((3, 1)))
    joined = Trace.join([trace.keep(np.array([0, 2])), trace.keep(np.array([1]))])
    assert joined.content == "values"
    assert joined.now("value").tolist() == [1, 1, 1]


@pytest.mark.parametrize(("spec", "content"), [("entropy(0.1)", "values"), ("still(1, 1)", "probabilities")])
def test_a_signal_needs_its_content(spec, content):
    trace = Trace.from_outputs(np.full((1, 3, 2), 0.5), content=content)
    with pytest.raises(PolicyError, match="reads .*; these outputs are"):
        policy(spec).leaves(trace.at(2))


def test_values_have_no_temperature():
    with pytest.raises(PolicyError, match="temperatures change probabilities; these outputs are values"):
        policy("tempered(still(1, 1), 2.0)").leaves(Trace.from_outputs(values(), content="values").at(3))
