"""Deadlines and cancellations, on a clock that only layer calls move."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_backend import FakeClock, SlowBackend

from elbert.classifier import Classifier
from elbert.engine import ArrivalQueue, Capacity, DeadlineQueue, Engine, Request, SweepQueue
from elbert.exits import policy, replay_exits
from tiny import texts, write_bundle

POLICIES = [policy(spec) for spec in ("full", "depth(4)", "entropy(0.4)", "patience(2)", "entropy(0.1) | depth(5)")]
KINDS = {
    "one layer": {},
    "a layer each": {"num_hidden_groups": 6},
    "heads per block": {"exit_heads": 3},
    "multi-label": {"labels": ("a", "b", "c"), "problem_type": "multi_label_classification"},
}
COUNT = 16


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS.keys())
def served(request, tmp_path_factory):
    """A classifier, tokenised texts, and what it says of them at every depth."""
    classifier = Classifier.load(write_bundle(tmp_path_factory.mktemp("model"), seed=1, **request.param))
    tokens = classifier.tokeniser.encode(texts(COUNT, seed=7))
    saved = np.zeros((COUNT, 6, len(classifier.labels)), np.float32)
    for exits in classifier.exits(tokens, policy("full"), keep_trace=True):
        saved[exits.identity] = exits.trace
    return classifier, tokens, saved


def answers(left):
    for exits in left.exits:
        yield from zip(exits.identity.tolist(), exits.depth.tolist(), exits.reason, exits.probabilities, exits.logits)


def test_every_request_is_answered_once_or_cancelled_and_none_is_late(served):
    classifier, tokens, saved = served
    config = classifier.bundle.config

    @settings(max_examples=25, deadline=None)
    @given(
        rows=st.integers(1, 6),
        lanes=st.integers(1, 2),
        queue=st.sampled_from([ArrivalQueue, SweepQueue, DeadlineQueue]),
        durations=st.lists(st.floats(0.1, 3), min_size=1, max_size=5),
        due=st.lists(st.none() | st.floats(-1, 12), min_size=COUNT, max_size=COUNT),
        arrivals=st.lists(st.integers(0, 4), max_size=10),
        cancels=st.lists(st.lists(st.integers(0, COUNT - 1), max_size=2), max_size=12),
    )
    def check(rows, lanes, queue, durations, due, arrivals, cancels):
        clock = FakeClock()
        backend = SlowBackend(classifier.backend, clock, durations)
        engine = Engine(backend, Capacity(rows, 150), queue=queue(), lanes=lanes, clock=clock)
        coming, arrivals, cancels = list(range(COUNT)), iter(arrivals), iter(cancels)
        deadlines, done, cancelled, started = {}, {}, set(), set()
        for _ in range(2_000):
            for _ in range(min(len(coming), next(arrivals, COUNT))):
                i = coming.pop(0)
                deadlines[i] = None if due[i] is None else clock.now + due[i]
                engine.submit(Request(i, tokens[i], POLICIES[i % len(POLICIES)], deadlines[i]))
            for i in next(cancels, ()):
                if i not in done and i not in coming:
                    cancelled.add(i)
                engine.cancel(i)
            before, live = clock.now, set(started)
            left = engine.step()
            started |= set(engine.last_call.started) if engine.last_call else set()
            assert not left.failures
            for i, depth, reason, p, logits in answers(left):
                assert i not in done, "answered twice"
                assert i not in cancelled, "answered after it was cancelled"
                done[i] = depth, reason, p
                assert config.probabilities(torch.from_numpy(logits)).numpy() == pytest.approx(p, abs=1e-6)
                if i in live and deadlines[i] is not None and lanes == 1 and config.is_all_shared:
                    assert clock.now - deadlines[i] <= clock.now - before + 1e-9, "late by more than one step"
            if lanes == 1:
                assert cancelled.isdisjoint(engine._requests), "a cancelled row kept its place"
            if not coming and not len(engine):
                break
        assert done.keys() | cancelled == set(range(COUNT))
        assert not (done.keys() & cancelled)
        for i, (depth, reason, p) in done.items():
            (full_depth,), (full_reason,) = replay_exits(
                saved[i : i + 1], POLICIES[i % len(POLICIES)], multi_label=config.multi_label
            )
            assert p == pytest.approx(saved[i, depth - 1], abs=1e-5)
            if reason == "deadline":
                assert deadlines[i] is not None
                assert 1 <= depth < full_depth
            else:
                assert (depth, reason) == (full_depth, full_reason)
        assert (engine._scheduler.num_live, engine._scheduler.num_waiting, len(engine._pools)) == (0, 0, 0)
        assert engine._scheduler._live_tokens == 0
        assert (engine._cancelled, engine._deadlines._due) == (set(), {})

    check()


@pytest.fixture
def slow(bundle_folder):
    """An engine of four places whose every call takes a second, and how to fill it."""
    classifier = Classifier.load(bundle_folder)
    clock = FakeClock()
    backend = SlowBackend(classifier.backend, clock)
    engine = Engine(backend, Capacity(4, 1000), queue=DeadlineQueue(), clock=clock)
    tokens = classifier.tokeniser.encode(["good film"])[0]

    def submit(identity, spec="full", deadline=None):
        engine.submit(Request(identity, tokens, policy(spec), deadline))

    return engine, submit, clock


def test_it_leaves_just_in_time_with_the_depth_that_it_reached(slow):
    engine, submit, clock = slow
    submit(0, "full", deadline=3.5)
    found = []
    while len(engine):
        found += [(clock.now, *answer[:3]) for answer in answers(engine.step())]
    assert found == [(3.0, 0, 3, "deadline")]


def test_no_deadline_is_no_hurry(slow):
    engine, submit, clock = slow
    submit(0, "full", deadline=6.0)  # exactly when it is done
    submit(1, "full")
    found = []
    while len(engine):
        found += [(clock.now, *answer[:3]) for answer in answers(engine.step())]
    assert sorted(found) == [(6.0, 0, 6, "last"), (6.0, 1, 6, "last")]


def test_who_is_overdue_in_the_queue_still_gets_one_depth(slow):
    engine, submit, clock = slow
    submit(0, "full", deadline=-5.0)
    assert [answer[:3] for answer in answers(engine.step())] == [(0, 1, "deadline")]


def test_who_must_start_now_goes_before_who_can_wait(slow):
    """Places are taken, by rows without deadlines; the urgent take the next call, and the others wait for one."""
    engine, submit, clock = slow
    for i in range(4):
        submit(i, "full")
    engine.step()
    for i in range(4, 9):
        submit(i, "full", deadline=clock.now + 1.5)
    left = engine.step()
    assert sorted(answer[0] for answer in answers(left)) == [4, 5, 6, 7]
    assert {i for call in [engine.last_call] for i in call.depths.tolist()} == {1}
    assert sorted(answer[0] for answer in answers(engine.step())) == [8]  # more at once than a call holds
    depths = {}
    while len(engine):
        depths |= {answer[0]: answer[1] for answer in answers(engine.step())}
    assert depths == dict.fromkeys(range(4), 6)


def test_urgency_overtakes_but_not_for_ever(slow):
    engine, submit, clock = slow
    for i in range(4):
        submit(i, "full")
    engine.step()
    submit(10, "depth(1)")  # as if due in a second
    clock.now += 5
    submit(11, "depth(1)", deadline=clock.now + 60)
    order = []
    while len(engine):
        order += [answer[0] for answer in answers(engine.step())]
    assert order.index(10) <= order.index(11)


def test_a_cancelled_row_frees_its_place_at_the_next_step(slow):
    engine, submit, clock = slow
    for i in range(6):
        submit(i, "full")
    engine.step()
    engine.cancel(1)  # live
    engine.cancel(5)  # waiting
    engine.cancel(77)  # unknown
    engine.step()
    assert engine.last_call.started == (4,)
    assert engine.last_call.rows == 4
    done = []
    while len(engine):
        done += [answer[0] for answer in answers(engine.step())]
    assert sorted(done) == [0, 2, 3, 4]
    engine.cancel(0)  # gone already
    engine.step()
    assert len(engine) == 0


def test_a_head_that_fails_at_the_deadline_fails_its_row_alone(slow, bundle_folder):
    engine, submit, clock = slow
    read = engine._backend.read

    def broken(hidden, layout, head):
        if len(layout) > 1:
            raise RuntimeError("read failed")
        return read(hidden, layout, head)

    engine._backend.read = broken
    submit(0, "full", deadline=2.5)
    submit(1, "full", deadline=2.5)
    found = []
    while len(engine):
        left = engine.step()
        assert not left.failures
        found += [answer[:3] for answer in answers(left)]
    assert sorted(found) == [(0, 2, "deadline"), (1, 2, "deadline")]


def test_a_kept_trace_is_returned_whole(slow, bundle_folder):
    engine, submit, clock = slow
    submit(0, "full")
    engine.step()
    tokens = Classifier.load(bundle_folder).tokeniser.encode(["bad plot"])[0]
    engine.submit(Request(1, tokens, policy("depth(3)"), keep_trace=True))
    while len(engine):
        for exits in engine.step().exits:
            if 1 in exits.identity.tolist():
                saved = exits.trace[exits.identity.tolist().index(1)]
    assert (saved[:3].sum(-1) == pytest.approx(1, abs=1e-5)) and not saved[3:].any()
