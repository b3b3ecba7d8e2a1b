"""Native calls that fill free places themselves, against the engine's single steps, for any order, size and policy."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elbert.classifier import Classifier
from elbert.engine import ArrivalQueue, Capacity, Engine, Request, SweepQueue
from elbert.exits import policy
from elbert.inference import admit, run_refilling
from elbert.inference.native_step import lower_all, name_task
from elbert.inference.refilling import find_room_ahead
from elbert.model import native
from elbert.model.isolation import use_threads
from tiny import WORDS, texts, write_bundle

pytestmark = pytest.mark.skipif(
    isinstance(native.load(), native.NoVariant), reason=f"no native code: {getattr(native.load(), 'reason', '')}"
)
NATIVE_SIZES = {"embedding_size": 16}  # native code has widths of 16
LONGEST = 320  # tokens that the model reads: more than a thread's share of the places
KINDS = {
    "classes": {},
    "labels": {"labels": ("a", "b", "c"), "problem_type": "multi_label_classification"},
    "values": {"labels": ("score",), "problem_type": "regression"},
}
SPECS = {
    "probabilities": ["full", "depth(2)", "entropy(0.4)", "patience(2)", "tempered(entropy(0.4), 0.5, 2)"],
    "values": ["full", "depth(3)", "settled(1, 0.5)", "stable(3, 1.5)"],
}
NUMBER = 14
run_whole = partial(run_refilling, seconds=60)  # a slow machine does not end a call early


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS.keys())
def classifier(request, tmp_path_factory):
    sizes = {**NATIVE_SIZES, "max_position_embeddings": LONGEST, **request.param}
    return Classifier.load(write_bundle(tmp_path_factory.mktemp("model"), seed=1, **sizes))


def serve(engine, requests, arrivals=()):
    """Submit so many requests per step: ``{identity: (depth, reason, probabilities, logits, trace)}``, and errors."""
    coming, arrivals, found, errors = list(requests), iter(arrivals), {}, {}
    while coming or len(engine):
        for _ in range(min(len(coming), next(arrivals, len(coming)))):
            engine.submit(coming.pop(0))
        result = engine.step()
        errors |= {failure.identity: failure.error for failure in result.failures}
        for exits in result.exits:
            for row, identity in enumerate(exits.identity.tolist()):
                assert identity not in found
                depth = int(exits.depth[row])
                trace = None if exits.trace is None else exits.trace[row, :depth]
                found[identity] = depth, exits.reason[row], exits.probabilities[row], exits.logits[row], trace
    assert (engine._scheduler.num_live, engine._scheduler._live_tokens, engine._pools) == (0, 0, {})
    return found, errors


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for identity, (depth, reason, *arrays) in expected.items():
        assert found[identity][:2] == (depth, reason)
        for one, other in zip(found[identity][2:], arrays):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one, other, atol=1e-5)


def refuse(*_):
    raise MemoryError("no memory")


def requests_of(classifier, specs, seed=0, number=NUMBER, **of_texts):
    tokens = classifier.tokeniser.encode(texts(number, seed=seed, **of_texts))
    policies = [policy(specs[i % len(specs)]) for i in range(number)]
    return [Request(i, row, own) for i, (row, own) in enumerate(zip(tokens, policies))]


@pytest.mark.parametrize("ahead", [4, 0.3], ids=["all ahead", "few ahead"])
def test_equals_single_steps(classifier, ahead, monkeypatch):
    specs = SPECS[classifier.bundle.config.task.content]
    monkeypatch.setattr("elbert.inference.refilling.AHEAD", ahead)

    @settings(max_examples=20, deadline=None)
    @given(
        seed=st.integers(0, 1000),
        rows=st.integers(1, 7),
        tokens=st.integers(1, 150),
        refill=st.sampled_from([0, 0.125, 0.5]),
        sweep=st.booleans(),
        keep_trace=st.booleans(),
        arrivals=st.lists(st.integers(0, 5), max_size=8),
        chosen=st.lists(st.sampled_from(specs), min_size=1, max_size=3),
    )
    def check(seed, rows, tokens, refill, sweep, keep_trace, arrivals, chosen):
        requests, found = requests_of(classifier, chosen, seed), []
        for layers in (6, 1):
            queue = SweepQueue() if sweep else ArrivalQueue()
            options = {"queue": queue, "refill": refill, "keep_trace": keep_trace, "layers": layers}
            engine = Engine(classifier.backend, Capacity(rows, tokens), **options)
            assert (engine._room_ahead is not None) == (layers > 1)
            results, errors = serve(engine, requests, arrivals)
            assert not errors
            found.append(results)
        assert_same(*found)

    check()


@pytest.mark.parametrize("seconds", [60, 1e-9], ids=["no limit", "a layer a call"])
def test_threads_with_places_of_their_own_equal_single_steps(classifier, seconds, monkeypatch):
    """Rows that wait for places, threads that each have a part of them, and calls whose time is over before the end."""
    specs = SPECS[classifier.bundle.config.task.content]
    monkeypatch.setattr("elbert.engine.engine.run_refilling", partial(run_refilling, seconds=seconds))
    calls = []
    run = native.Refill.run

    def run_checked(call, *parts):
        out = run(call, *parts)
        calls.append(call)
        assert call._kept[2][call.remaining].sum() <= len(out)  # else memory behind it was written
        return out

    monkeypatch.setattr(native.Refill, "run", run_checked)

    @settings(max_examples=20, deadline=None)
    @given(
        seed=st.integers(0, 1000),
        threads=st.integers(2, 4),
        rows=st.integers(1, 12),
        tokens=st.sampled_from([100, 300, 600]),
        refill=st.sampled_from([0, 0.125, 0.5]),
        number=st.integers(1, 60),
        longest=st.sampled_from([20, 120, LONGEST]),
        arrivals=st.lists(st.integers(0, 30), max_size=4),
        chosen=st.lists(st.sampled_from(specs), min_size=1, max_size=3),
    )
    def check(seed, threads, rows, tokens, refill, number, longest, arrivals, chosen):
        requests, found = requests_of(classifier, chosen, seed, number, longest=longest), []
        for layers in (6, 1):
            engine = Engine(classifier.backend, Capacity(rows, tokens), refill=refill, layers=layers)
            with use_threads(threads):
                results, errors = serve(engine, requests, arrivals)
            assert not errors
            found.append(results)
        assert_same(*found)

    check()
    assert calls
    assert seconds == 60 or any(call.waiting for call in calls)


def test_a_share_has_room_for_rows_of_any_length(classifier):
    """Rows of the most tokens that the model reads, of which few fit into the places."""
    tokens = classifier.tokeniser.encode([" ".join([WORDS[number % len(WORDS)]] * 400) for number in range(9)])
    policies, backend = [policy("full")] * 9, classifier.backend
    for rows, places in ((8, 256), (4, 300), (40, 100)):
        with use_threads(2):
            remaining, exits, started = run_whole(
                None, tokens, range(9), policies, backend, native.Places(rows, places, 0), drain=True, keep_trace=False
            )
        assert (remaining, started) == (None, 9)
        assert sorted(exits.identity.tolist()) == list(range(9))


def test_a_call_ends_when_places_are_free(classifier):
    """All rows have started then; those that have not exited go on in another call."""
    backend, places = classifier.backend, native.Places(4, 100, 0.5)
    tokens = classifier.tokeniser.encode(texts(NUMBER, longest=8))
    policies = [policy("depth(2)" if number % 2 else "full") for number in range(NUMBER)]
    remaining, exits, started = run_whole(
        None, tokens, range(NUMBER), policies, backend, places, drain=False, keep_trace=False
    )
    assert started == NUMBER
    assert sorted(exits.identity.tolist() + remaining.identity.tolist()) == list(range(NUMBER))
    assert 1 <= len(remaining) <= 2
    depth = remaining.trace.depth.tolist()
    assert 0 < min(depth) <= max(depth) < 6
    again, none, _ = run_whole(remaining, [], [], [], backend, places, drain=False, keep_trace=False)
    assert none is None
    assert again.trace.depth.tolist() == depth
    none, rest, _ = run_whole(remaining, [], [], [], backend, places, drain=True, keep_trace=False)
    assert none is None
    assert rest.identity.tolist() == remaining.identity.tolist()


def test_what_fails_goes_by_single_steps(classifier, monkeypatch):
    """Memory that runs out, and a policy that native code does not know; rows that are in progress go on."""
    specs = SPECS[classifier.bundle.config.task.content]
    requests = requests_of(classifier, specs)
    expected, _ = serve(Engine(classifier.backend, Capacity(3, 60)), requests)
    # A text is ahead at a time, so that rows are in progress when a call fails.
    monkeypatch.setattr("elbert.engine.engine.find_room_ahead", lambda *_: (1, 1))
    for calls in (0, 3):
        engine, real = Engine(classifier.backend, Capacity(3, 60), layers=6), native.Refill.run
        with monkeypatch.context() as patch:
            patch.setattr(native.Refill, "run", real if calls else refuse)
            for request in requests:
                engine.submit(request)
            done = [engine.step() for _ in range(calls)]
            patch.setattr(native.Refill, "run", refuse)
            found, errors = serve(engine, [])
        early = {int(i) for step in done for exits in step.exits for i in exits.identity}
        assert not errors
        assert_same(found, {i: answer for i, answer in expected.items() if i not in early})
    monkeypatch.setattr("elbert.inference.native_step.lower_natively", lambda *_: None)
    assert_same(serve(Engine(classifier.backend, Capacity(3, 60), layers=6), requests)[0], expected)


def test_nan_fails_its_own_text(tmp_path):
    classifier = Classifier.load(write_bundle(tmp_path, **NATIVE_SIZES), "patience(2)", dtype="float32")
    with torch.inference_mode():
        classifier.backend._native.embedding._kept[0][4 + WORDS.index("dull")] = float("nan")
    results = list(classifier.stream_results(["good film", "a dull plot", "not bad"]))
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    assert "NaN" in str(results[1])


def test_backends_that_do_not_fill_places(tmp_path):
    """Several layers, several heads, no native embedding, and a variant without such calls."""
    for number, changes in enumerate(({"num_hidden_groups": 2}, {"exit_heads": 3}, {"embedding_size": 12})):
        folder = write_bundle(tmp_path / str(number), **{**NATIVE_SIZES, **changes})
        assert not Classifier.load(folder).backend.can_refill
    backend = Classifier.load(write_bundle(tmp_path / "one", **NATIVE_SIZES)).backend
    assert backend.can_refill
    assert find_room_ahead(backend, native.Places(2, 10, 0)) == (8, 40)
    backend._native.embedding.variant = replace(backend._native.embedding.variant, run_refill=None)
    assert not backend.can_refill


def test_wrong_arrays_are_refused(classifier):
    backend, chosen = classifier.backend, policy("full")
    config = classifier.bundle.config
    rows = admit(classifier.tokeniser.encode(["a good film"]), [0], backend, chosen)
    lowered = lower_all([chosen], config, config.task.content)
    five = np.array([5])
    good = {
        "places": native.Places(2, 10, 0.0),
        "policies": lowered,
        "lengths": five,
        "ids": np.full(5, 4),
        "type_ids": np.zeros(5, np.int64),
        "hidden": None,
        "depth": np.zeros(0, np.int64),
        "trace": rows.trace.probabilities,
        "task": name_task(config),
        "drain": True,
        "seconds": 60,
        "keep_trace": False,
        "scale": config.scale,
    }
    backend.refill(native.Refill(**good))
    wrong = [{"lengths": np.array([4])}, {"lengths": np.array([0])}, {"policies": []}, {"ids": np.full(5, 4, np.int32)}]
    wrong += [
        {"trace": rows.trace.probabilities.astype(np.float64)},
        {"hidden": rows.hidden},
        {"depth": np.zeros(2, int)},
    ]
    wrong += [{"trace": np.zeros((1, 5, len(config.labels)), np.float32)}]
    for change in wrong:
        with pytest.raises(ValueError, match="expected"):
            native.Refill(**{**good, **change})
    for ids in (10**6, -1):
        with pytest.raises(ValueError, match="no embedding"):
            backend.refill(native.Refill(**{**good, "ids": np.full(5, ids)}))
    started = {"hidden": rows.hidden, "depth": np.zeros(1, np.int64), "ids": five[:0], "type_ids": five[:0]}
    with pytest.raises(ValueError, match="depths"):
        backend.refill(native.Refill(**{**good, **started, "depth": np.array([config.depths])}))
    for hidden in (rows.hidden[:3], rows.hidden.double()):
        with pytest.raises(ValueError, match="expected"):
            backend.refill(native.Refill(**{**good, **started, "hidden": hidden}))
