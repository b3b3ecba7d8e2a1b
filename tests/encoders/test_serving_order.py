"""The engine gives every text of such a model the answer of the plain loop, under mixed policies, in any company."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elbert.classifier import Classifier
from elbert.engine import ArrivalQueue, Capacity, Engine, Request, SweepQueue
from elbert.exits import policy, replay_exits
from elbert.inference import admit, run_shrinking_batch
from tiny import texts

POLICIES = ["full", "depth(2)", "entropy(0.4)", "patience(2)", "window(entropy=0.2, size=3)", "gap(0.5) | depth(5)"]
COUNT = 14


@pytest.fixture(scope="module")
def classifier(folder):
    return Classifier.load(folder)


def by_identity(exits):
    return {
        int(i): (int(depth), reason, p.tolist())
        for each in exits
        for i, depth, reason, p in zip(each.identity, each.depth, each.reason, each.probabilities)
    }


def plain(classifier, tokens, chosen):
    """By the plain loop, all rows in one batch that shrinks."""
    rows = admit(tokens, range(len(tokens)), classifier.backend, chosen)
    return by_identity(run_shrinking_batch(rows, classifier.backend))


def served(engine, requests, arrivals):
    coming, arrivals, exits = list(requests), iter(arrivals), []
    for _ in range(5_000):
        for _ in range(min(len(coming), next(arrivals, len(coming)))):
            engine.submit(coming.pop(0))
        left = engine.step()
        assert not left.failures
        exits += left.exits
        if not coming and not len(engine):
            assert sum(map(len, exits)) == len(requests), "answered twice, or not at all"
            return by_identity(exits)
    raise AssertionError("requests starved")


def test_equals_the_plain_loop_and_the_replay(classifier):
    @settings(max_examples=25, deadline=None)
    @given(
        seed=st.integers(0, 1000),
        rows=st.integers(1, 7),
        tokens=st.integers(1, 150),
        lanes=st.integers(1, 3),
        sweep=st.booleans(),
        arrivals=st.lists(st.integers(0, 5), max_size=8),
        specs=st.lists(st.sampled_from(POLICIES), min_size=1, max_size=3),
    )
    def check(seed, rows, tokens, lanes, sweep, arrivals, specs):
        encoded = classifier.tokeniser.encode(texts(COUNT, seed=seed))
        chosen = [policy(specs[i % len(specs)]) for i in range(COUNT)]
        queue = SweepQueue() if sweep else ArrivalQueue()
        engine = Engine(classifier.backend, Capacity(rows, tokens), queue=queue, lanes=lanes)
        answers = served(engine, [Request(i, encoded[i], chosen[i]) for i in range(COUNT)], arrivals)
        expected = plain(classifier, encoded, chosen)
        saved = np.zeros((COUNT, 6, 2), np.float32)
        for exits in classifier.exits(encoded, policy("full"), keep_trace=True):
            saved[exits.identity] = exits.trace
        for i in range(COUNT):
            assert answers[i][:2] == expected[i][:2]
            assert answers[i][2] == pytest.approx(expected[i][2], abs=2e-5)
            (depth,), (reason,) = replay_exits(saved[i : i + 1], chosen[i], multi_label=False)
            assert answers[i][:2] == (depth, reason)

    check()


def test_texts_do_leave_early_and_at_different_depths(classifier):
    """Else the equality above would say little."""
    depths = {p.depth for p in classifier.predict(texts(60), "entropy(0.4)")}
    assert len(depths) > 2


def test_every_call_takes_rows_of_one_depth(classifier):
    engine = Engine(classifier.backend, Capacity(4, 200))
    for i, tokens in enumerate(classifier.tokeniser.encode(texts(20))):
        engine.submit(Request(i, tokens, policy("full" if i % 5 == 0 else "entropy(0.4)")))
    calls = []
    while len(engine):
        engine.step()
        calls += [] if engine.last_call is None else [set(engine.last_call.depths.tolist())]
    assert all(len(depths) == 1 for depths in calls)
    assert {depth for depths in calls for depth in depths} == set(range(1, 7))


def test_batches_and_streams_answer_alike(classifier):
    sentences = texts(50, seed=3)
    alone = [classifier.predict([text], "entropy(0.4)")[0] for text in sentences]
    together = classifier.predict(sentences, "entropy(0.4)")
    assert [(p.label, p.depth, p.reason) for p in together] == [(p.label, p.depth, p.reason) for p in alone]
    assert [p.score for p in together] == pytest.approx([p.score for p in alone], abs=2e-5)
