"""The list-wise rule: the engine's exits equal a slow reference, at whatever depths the rows of a list are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elbert import PolicyError, policy
from elbert.engine import Engine, RankedList, Request
from elbert.engine.engine import Capacity
from elbert.exits.list_rules import ListRule
from elbert.ranking.ranking_outputs import collect_rankings
from ranking_lists import make_lists, plain_outranked

SPECS = ["outranked(1, 0)", "outranked(3, 0.5)", "outranked(3, 0.2, 3)", "outranked(2, 0.1) | depth(4)"]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_rule_is_the_plain_one(data):
    top, size = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 4))
    margin = data.draw(st.sampled_from([0.0, 0.25, 1.0]))
    values = st.lists(st.integers(-8, 8).map(lambda n: n / 4), min_size=size, max_size=6)
    rows = data.draw(st.lists(st.tuples(values, st.booleans()), min_size=1, max_size=8))
    rule = ListRule("outranked", top, margin, size)
    low, high = rule.bounds(np.array([row[-size:] for row, _ in rows]))
    done = np.array([is_done for _, is_done in rows])
    last = np.array([row[-1] for row, _ in rows])
    low, high = np.where(done, last, low), np.where(done, last, high)
    found = {i for i in np.flatnonzero(rule.find_outranked(low, high)).tolist() if not done[i]}
    assert found == plain_outranked(dict(enumerate(rows)), top, margin, size)
    assert rule.find_outranked(low, high).sum() <= max(0, len(rows) - top)  # so many always stay


def run_engine(ranker, lists, spec, capacity, seed=0):
    """Run lists that arrive in several parts; at each call the reference says which rows must exit."""
    chosen = policy(spec)
    rule = chosen.list_rules[0]
    engine = Engine(ranker.backend, capacity)
    ranked = {i: RankedList(rule) for i in range(len(lists))}
    saved = collect_rankings(ranker, lists)
    values = saved.answers[..., 0].astype(float) / ranker.bundle.config.scale
    owner = np.repeat(np.arange(len(lists)), saved.sizes)
    requests = [Request(i, tokens, chosen, ranked_in=ranked[int(owner[i])]) for i, tokens in enumerate(saved.tokens)]
    rng, depth, exits = np.random.default_rng(seed), dict.fromkeys(range(len(requests)), 0), {}
    rows = {number: {} for number in ranked}
    waiting = list(np.split(np.arange(len(requests)), np.sort(rng.integers(0, len(requests), 3))))
    while waiting or len(engine):
        if waiting:
            for i in waiting.pop(0).tolist():
                engine.submit(requests[i])
        before = live_depths(engine)
        result = engine.step()
        after = live_depths(engine)
        for part in result.exits:
            for i, end, reason in zip(part.identity.tolist(), part.depth.tolist(), part.reason, strict=True):
                exits[i] = end, reason
        moved = {i for i in {*before, *after, *result.identities} if after.get(i, exits.get(i, (0,))[0]) > depth[i]}
        for i in moved:
            depth[i] += 1
        for number in ranked:
            own = [i for i in moved if owner[i] == number]
            for i in own:
                is_done = exits.get(i, (0, "outranked"))[1] != "outranked"
                rows[number][i] = values[i, : depth[i]], is_done
            expected = plain_outranked(rows[number], rule.top, rule.margin, rule.size) if own else set()
            out = {i for i in result.identities if owner[i] == number and exits[i][1] == "outranked"}
            assert out == expected
            for i in out:
                del rows[number][i]
    return exits


def live_depths(engine):
    return {int(i): int(d) for r in engine._pools.values() for i, d in zip(r.identity, r.trace.depth, strict=True)}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("capacity", [Capacity(64, 4096), Capacity(7, 200)], ids=["whole", "parts"])
def test_rows_exit_when_the_reference_has_them_exit(ranker, spec, capacity):
    exits = run_engine(ranker, make_lists(6, seed=4), spec, capacity)
    reasons = [reason for _, reason in exits.values()]
    assert "outranked" in reasons and set(reasons) <= {"outranked", "depth", "last"}


def test_a_list_policy_is_data():
    chosen = policy("outranked(5)")
    assert str(chosen) == "outranked(top=5, margin=0.5, size=2)" and policy(str(chosen)) == chosen
    assert chosen.rules == () and len((chosen | policy("depth(3)")).list_rules) == 1


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("outranked", "accepted is outranked(top, margin, size)"),
        ("outranked(0)", "whole number from 1"),
        ("outranked(3, -1)", "margin a number"),
        ("outranked(3, 0.1, 1)", "from 2"),
        ("tempered(outranked(3), 2.0)", "no temperature"),
    ],
)
def test_dials_out_of_range_are_errors(spec, why):
    with pytest.raises(PolicyError) as error:
        policy(spec)
    assert why in str(error.value)
