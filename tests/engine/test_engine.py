"""The engine against the plain loop and the replay, for any order of arrival, capacity and policy; and its failures."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elbert.classifier import Classifier
from elbert.engine import ArrivalQueue, Capacity, Engine, Request, SweepQueue
from elbert.errors import InputError
from elbert.exits import policy, replay_exits
from elbert.inference import admit, run_shrinking_batch
from tiny import texts, write_bundle

POLICIES = [
    "full",
    "depth(2)",
    "entropy(0.4)",
    "patience(2)",
    "divergence(2, 0.05)",
    "window(entropy=0.2, size=3, rule=trend)",
    "entropy(0.1) | patience(3)",
]
KINDS = {
    "one layer": {},
    "a native embedding": {"embedding_size": 16},
    "two groups": {"num_hidden_groups": 2, "inner_group_num": 2},
    "a layer each": {"num_hidden_groups": 6},
    "heads per block": {"exit_heads": 3},
    "multi-label": {"labels": ("a", "b", "c"), "problem_type": "multi_label_classification"},
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS.keys())
def classifier(request, tmp_path_factory):
    return Classifier.load(write_bundle(tmp_path_factory.mktemp("model"), seed=1, **request.param))


def serve(engine, requests, arrivals=()):
    """Submit so many requests per step, until all have left: ``{identity: (depth, reason, probabilities)}``."""
    coming, arrivals, answers, failures = list(requests), iter(arrivals), {}, {}
    for _ in range(5_000):
        for _ in range(min(len(coming), next(arrivals, len(coming)))):
            engine.submit(coming.pop(0))
        left = engine.step()
        failures.update({failure.identity: failure.error for failure in left.failures})
        for exits in left.exits:
            for i, depth, reason, p in zip(exits.identity, exits.depth, exits.reason, exits.probabilities):
                assert int(i) not in answers, "answered twice"
                answers[int(i)] = (int(depth), reason, p.tolist())
        if not coming and not len(engine):
            return answers, failures
    raise AssertionError("requests starved")


def plain(classifier, tokens, chosen):
    """The same by the plain loop, all rows in one batch that shrinks."""
    rows = admit(tokens, range(len(tokens)), classifier.backend, chosen)
    return {
        int(i): (int(depth), reason, p.tolist())
        for exits in run_shrinking_batch(rows, classifier.backend)
        for i, depth, reason, p in zip(exits.identity, exits.depth, exits.reason, exits.probabilities)
    }


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for i, (depth, reason, p) in expected.items():
        assert found[i][:2] == (depth, reason)
        assert found[i][2] == pytest.approx(p, abs=1e-5)


def test_equals_the_plain_loop_and_the_replay(classifier):
    @settings(max_examples=25, deadline=None)
    @given(
        seed=st.integers(0, 1000),
        rows=st.integers(1, 7),
        tokens=st.integers(1, 150),
        lanes=st.integers(1, 3),
        layers=st.sampled_from([1, 2, 6]),
        sweep=st.booleans(),
        arrivals=st.lists(st.integers(0, 5), max_size=8),
        specs=st.lists(st.sampled_from(POLICIES), min_size=1, max_size=3),
    )
    def check(seed, rows, tokens, lanes, layers, sweep, arrivals, specs):
        encoded = classifier.tokeniser.encode(texts(14, seed=seed))
        chosen = [policy(specs[i % len(specs)]) for i in range(14)]
        queue = SweepQueue() if sweep else ArrivalQueue()
        engine = Engine(classifier.backend, Capacity(rows, tokens), queue=queue, lanes=lanes, layers=layers)
        answers, failures = serve(engine, [Request(i, encoded[i], chosen[i]) for i in range(14)], arrivals)
        assert not failures
        full = Engine(classifier.backend, Capacity(50, 5000), keep_trace=True)
        saved = np.zeros((14, 6, len(classifier.labels)), np.float32)
        for i, t in enumerate(encoded):
            full.submit(Request(i, t, policy("full")))
        while len(full):
            for exits in full.step().exits:
                saved[exits.identity] = exits.trace
        for own in set(chosen):
            mine = [i for i in range(14) if chosen[i] == own]
            expected = plain(classifier, encoded, own)
            assert_same({i: answers[i] for i in mine}, {i: expected[i] for i in mine})
            depth, reason = replay_exits(saved, own, multi_label=classifier.bundle.config.multi_label)
            assert [answers[i][:2] for i in mine] == [(depth[i], reason[i]) for i in mine]

    check()


@pytest.mark.parametrize("lengths", [[1], [64], [1, 64], [64] * 9, [2] * 30])
def test_odd_sizes(classifier, lengths):
    tokens = [type(t)(t.ids[:n] + [5] * (n - len(t.ids)), [0] * n, False)
              for n, t in zip(lengths, classifier.tokeniser.encode(texts(len(lengths), seed=2)))]  # fmt: skip
    for spec in ("depth(1)", "full", "entropy(0.5)"):
        engine = Engine(classifier.backend, Capacity(4, 70))
        answers, _ = serve(engine, [Request(i, t, policy(spec)) for i, t in enumerate(tokens)])
        assert_same(answers, plain(classifier, tokens, policy(spec)))


class Faulty:
    """A backend whose layer fails for rows that begin with certain hidden values, or for everybody."""

    def __init__(self, backend, poison=None, at=0, always=False):
        self._backend, self._poison, self._at, self._always, self.calls = backend, poison, at, always, 0
        self.config, self.device = backend.config, backend.device

    def embed(self, ids, type_ids, layout):
        if self._at == 0 and self._poison in ids.tolist():
            raise RuntimeError("embed failed")
        hidden = self._backend.embed(ids, type_ids, layout)
        hidden[: len(ids)][ids == self._poison] = 1e9  # marks the row
        return hidden

    def step(self, hidden, layout, group):
        self.calls += 1
        if self._always or (self._at and bool((hidden.abs() > 1e8).any())):
            raise RuntimeError("step failed")
        return self._backend.step(hidden, layout, group)

    def read(self, hidden, layout, head):
        return self._backend.read(hidden, layout, head)


@pytest.mark.parametrize("at", [0, 1], ids=["embed", "step"])
@pytest.mark.parametrize("lanes", [1, 2])
def test_a_failure_reaches_exactly_its_row(bundle_folder, at, lanes):
    classifier = Classifier.load(bundle_folder)
    encoded = classifier.tokeniser.encode(texts(20, seed=4))
    for bad in (3, 11):
        encoded[bad] = type(encoded[bad])([2, 43, 3], [0, 0, 0], False)
    encoded = [t if i in (3, 11) else type(t)([x if x != 43 else 42 for x in t.ids], t.type_ids, False)
               for i, t in enumerate(encoded)]  # fmt: skip
    chosen = policy("entropy(0.4)")
    engine = Engine(Faulty(classifier.backend, 43, at), Capacity(6, 200), lanes=lanes)
    answers, failures = serve(engine, [Request(i, t, chosen) for i, t in enumerate(encoded)])
    assert sorted(failures) == [3, 11]
    assert {str(error) for error in failures.values()} == {"step failed" if at else "embed failed"}
    expected = plain(classifier, encoded, chosen)
    assert_same(answers, {i: a for i, a in expected.items() if i not in failures})


def test_when_every_call_fails_every_request_fails_and_the_engine_goes_on(bundle_folder):
    classifier = Classifier.load(bundle_folder)
    backend = Faulty(classifier.backend, always=True)
    engine = Engine(backend, Capacity(4, 100))
    tokens = classifier.tokeniser.encode(texts(9))
    answers, failures = serve(engine, [Request(i, t, policy("full")) for i, t in enumerate(tokens)])
    assert not answers
    assert sorted(failures) == list(range(9))
    backend._always = False
    answers, failures = serve(engine, [Request(i, t, policy("full")) for i, t in enumerate(tokens)])
    assert sorted(answers) == list(range(9))
    assert not failures


def test_nan_is_no_answer(bundle_folder):
    classifier = Classifier.load(bundle_folder)
    tokens = classifier.tokeniser.encode(["good film", "bad plot", "dull"])

    class Broken(Faulty):
        def read(self, hidden, layout, head):
            logits = self._backend.read(hidden, layout, head)
            logits[layout.lengths == 3] = torch.nan  # "dull" alone has three tokens
            return logits

    engine = Engine(Broken(classifier.backend), Capacity(8, 100))
    answers, failures = serve(engine, [Request(i, t, policy("entropy(0.9)")) for i, t in enumerate(tokens)])
    assert (sorted(answers), sorted(failures)) == ([0, 1], [2])
    assert "NaN" in str(failures[2])


def test_bad_requests_are_rejected_on_submission(bundle_folder):
    classifier = Classifier.load(bundle_folder)
    (tokens,) = classifier.tokeniser.encode(["good"])
    engine = Engine(classifier.backend, Capacity(4, 100))
    engine.submit(Request(1, tokens, policy("entropy(0.1)")))
    with pytest.raises(InputError, match="request 1 is already in progress"):
        engine.submit(Request(1, tokens, policy("full")))
    with pytest.raises(InputError, match="the model knows only"):
        engine.submit(Request(3, type(tokens)([2, 4000], [0, 0], False), policy("full")))
    assert len(engine) == 1
    serve(engine, [])
    assert len(engine) == 0


def test_rows_are_let_go_when_they_leave(bundle_folder):
    """Memory does not grow with what has been served."""
    classifier = Classifier.load(bundle_folder)
    engine = Engine(classifier.backend, Capacity(4, 100))
    tokens = classifier.tokeniser.encode(texts(50))
    serve(engine, [Request(i, t, policy("entropy(0.4)")) for i, t in enumerate(tokens)])
    scheduler = engine._scheduler
    assert (scheduler.num_live, scheduler.num_waiting, engine._pools, len(engine._calls)) == (0, 0, {}, 0)
    assert scheduler._live_tokens == 0
    assert all(pool.tokens == 0 for pool in scheduler._pools.values())
