"""An explanation says what predict and replay say, and what it adds is right by plain twins."""

import json
import math
import re

import numpy as np
import pytest
import slow_twin
from hypothesis import given, settings
from hypothesis import strategies as st

from elbert import InputError, PolicyError, replay
from elbert.exits import Replay, Trace, policy
from elbert.explain import explain
from elbert.explain.explainer import stable_since
from elbert.explain.rule_tracks import track_rules
from elbert.explain.sentences import format_beside
from tiny import texts

SPECS = [
    "full",
    "depth(1)",
    "entropy(0.6)",
    "confidence(0.7)",
    "gap(0.5)",
    "patience(2)",
    "patience(0)",
    "patient_confidence(2, 0.8)",
    "divergence(1, 0.05)",
    "window(entropy=0.3, size=3)",
    "window(entropy=0.0, size=2, rule=trend)",
    "window(entropy=0.1, size=2, rule=stable, margin=0.05, range=0.2)",
    "window(entropy=0.0, size=9)",
    "entropy(0.2) | patience(1)",
    "tempered(window(entropy=0.5, size=2), 2.0, 0.5)",
]
SENTENCES = [text for text in texts(14, seed=5) if text][:8]
KINDS = ["two", "many", "multi", "mean", "inner", "heads", "shallow"]


def untimed(classifier, text, spec=None, label=None):
    return explain(classifier, text, spec, label, attention=False, rounds=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spec", SPECS)
def test_it_is_what_predict_and_replay_say(classifiers, kind, spec):
    classifier = classifiers[kind]
    for text in SENTENCES[:3]:
        explained = untimed(classifier, text, spec)
        (live,) = classifier.predict([text], spec, trace=True)
        assert (explained.depth, explained.reason, explained.depths) == (live.depth, live.reason, live.depths)
        assert (explained.exit_step.label, explained.exit_step.score) == (live.label, live.score)
        for step, there in zip(explained.steps, live.trace):
            assert (step.depth, step.scores, step.entropy) == (there.depth, there.scores, there.entropy)
        trace = np.array([[list(step.scores.values()) for step in explained.steps]], np.float32)
        assert replay(trace, spec, multi_label=kind == "multi") == [explained.depth]
        assert f"at depth {explained.depth} of {explained.depths}" in explained.why
        assert explained.policy == str(policy(spec))


@pytest.mark.parametrize("kind", ["two", "many", "multi"])
def test_rivals_are_replays_and_oracles_look_ahead(classifiers, kind):
    classifier = classifiers[kind]
    for text in SENTENCES:
        label = "b;c" if kind == "multi" else 1
        explained = untimed(classifier, text, label=label)
        trace = np.array([[list(step.scores.values()) for step in explained.steps]], np.float32)
        found = {rival.policy: rival for rival in explained.rivals}
        assert found["early"].kind == "point"
        for rival in explained.rivals:
            if rival.kind == "rival":
                again = Replay(trace, multi_label=kind == "multi")
                assert rival.depth == again.exits(policy(rival.policy))[0]
                assert rival.reason == again.reasons(policy(rival.policy))[0]
        answers = [set(step.answer) for step in explained.steps]
        truth = {"b", "c"} if kind == "multi" else {classifier.labels[1]}
        assert set(explained.truth) == truth
        right = [depth for depth, answer in enumerate(answers, 1) if answer == truth]
        assert found["earliest correct"].depth == (right[0] if right else None)
        assert found["earliest as the last"].depth == answers.index(answers[-1]) + 1
        assert all(answer == answers[-1] for answer in answers[found["earliest settled"].depth - 1 :])
        before = answers[: found["earliest settled"].depth - 1]
        assert not before or before[-1] != answers[-1]
        for rival in explained.rivals:
            assert rival.right == (None if rival.depth is None else answers[rival.depth - 1] == truth)


def test_without_a_label_nothing_is_right_or_wrong(classifiers):
    explained = untimed(classifiers["two"], SENTENCES[0])
    assert explained.truth is None
    assert {rival.right for rival in explained.rivals} == {None}
    assert "earliest correct" not in [rival.policy for rival in explained.rivals]


probabilities = st.integers(2, 4).flatmap(
    lambda classes: st.lists(st.lists(st.floats(0.01, 1), min_size=classes, max_size=classes), min_size=1, max_size=8)
)


@settings(max_examples=60, deadline=None)
@given(
    rows=probabilities,
    size=st.integers(1, 5),
    rule=st.sampled_from(["agree", "trend", "stable"]),
    margin=st.sampled_from([0.0, 0.05, 0.2]),
    spread=st.sampled_from([0.0, 0.05, 0.3]),
)
def test_the_window_slides_as_its_slow_twin_does(rows, size, rule, margin, spread):
    trace = np.array([[np.array(p) / sum(p) for p in rows]])
    spec = policy(f"window(entropy=0.0, size={size}, rule={rule}, margin={margin}, range={spread})")
    _, window = track_rules(spec, Trace.from_outputs(trace))
    plain = trace[0].tolist()
    assert window.size == size
    for step in window.steps:
        assert step.first == max(1, step.depth - size + 1)
        assert step.full == (step.depth >= size)
        # NumPy rounds sums in its own way: a gap or range that is exactly at its limit may fall on either side.
        covered = plain[step.first - 1 : step.depth]
        close = [abs(slow_twin.gap(p) - 2 * margin) for p in covered]
        close += [abs(abs(max(p) - max(q)) - spread) for p in covered for q in covered]
        if min(close) > 1e-9:
            assert step.fires == slow_twin.window_fires(plain[: step.depth], size, rule, margin, spread)
        assert step.fires == (step.full and all(step.holds.values()))
        tops = {slow_twin.top(p) for p in covered}
        if all(slow_twin.gap(p) > 1e-12 for p in covered):
            assert step.holds["same class"] == (len(tops) == 1)
    assert window.fired == next((step.depth for step in window.steps if step.fires), None)


@settings(max_examples=40, deadline=None)
@given(rows=probabilities, spec=st.sampled_from([s for s in SPECS if not s.startswith(("full", "depth"))]))
def test_conditions_and_verdicts_agree_for_every_rule(rows, spec):
    trace = np.array([[np.array(p) / sum(p) for p in rows]], np.float32)
    for track in track_rules(policy(spec), Trace.from_outputs(trace)):
        for step in track.steps:
            assert step.fires == (step.full and all(step.holds.values()))
        assert track.threshold is None or len(track.values) == len(rows)


def test_signals_by_the_formulas(classifiers):
    explained = untimed(classifiers["many"], SENTENCES[1])
    seen = [list(step.scores.values()) for step in explained.steps]
    for step, p in zip(explained.steps, seen):
        assert step.entropy == pytest.approx(slow_twin.entropy(p), abs=1e-5)
        assert step.gap == pytest.approx(slow_twin.gap(p), abs=1e-6)
        assert step.confidence == pytest.approx(max(p))
    assert explained.steps[0].divergence is None
    for step, before, p in zip(explained.steps[1:], seen, seen[1:]):
        assert step.divergence == pytest.approx(slow_twin.jsd(before, p), abs=1e-6)


def test_since_when_the_answer_has_been_the_same():
    assert stable_since(np.array([[0], [0], [1], [1], [0]])) == [1, 1, 3, 3, 5]
    assert stable_since(np.array([[0, 1]])) == [1]
    assert stable_since(np.array([[0, 1], [0, 0], [0, 0]])) == [1, 2, 2]


def test_exits_at_the_first_and_at_the_last_depth(classifiers):
    first = untimed(classifiers["two"], SENTENCES[0], "patience(0)")
    assert (first.depth, first.reason) == (1, "patience")
    assert first.cost.layers_saved == pytest.approx(5 / 6)
    last = untimed(classifiers["two"], SENTENCES[0], "entropy(0.0)")
    assert (last.depth, last.reason) == (6, "last")
    assert "the last: entropy < 0 at no depth before (lowest 0." in last.why
    assert last.cost.layers_saved == 0
    assert last.cost.computation_saved < 0  # the head was read at every depth for nothing
    assert untimed(classifiers["two"], SENTENCES[0], "full").cost.computation_saved == 0


def test_sentences(classifiers):
    def why(spec):
        return untimed(classifiers["two"], SENTENCES[0], spec).why

    assert why("full") == "exited at depth 6 of 6: this policy has no early exit"
    assert why("depth(2)") == "exited at depth 2 of 6: depth 2 ≥ 2"
    assert why("patience(0)") == "exited at depth 1 of 6: its rule holds at every depth"
    assert re.fullmatch(r"exited at depth 1 of 6: entropy 0\.\d+ < 1", why("entropy(1)"))
    assert re.fullmatch(r"exited at depth 1 of 6: confidence 0\.\d+ ≥ 0\.1", why("confidence(0.1)"))
    assert re.fullmatch(r"exited at depth 1 of 6: gap 0\.\d+ > 0", why("window(entropy=0.0, size=1)"))
    assert "(at the temperatures of this policy)" in why("tempered(entropy(1), 3.0)")


def test_numbers_are_distinguishable():
    assert format_beside(0.2479, 0.25) == "0.248"
    assert format_beside(0.21, 0.25) == "0.21"
    assert format_beside(0.25, 0.25) == "0.25"
    assert format_beside(0.2499999, 0.25) == "0.2499999"


def test_pairs_and_texts_that_are_cut(classifiers):
    explained = untimed(classifiers["two"], ("a good film", "the plot is slow"))
    assert " ".join(p.shown for p in explained.tokens) == "[CLS] a good film [SEP] the plot is slow [SEP]"
    assert [p.part for p in explained.tokens] == [None, 0, 0, 0, None, 1, 1, 1, 1, None]
    assert not explained.truncated
    long = untimed(classifiers["two"], "good " * 200)
    assert long.truncated
    assert len(long.tokens) == 64
    assert long.tokens[-1].special
    pair = untimed(classifiers["two"], ("good " * 100, "bad film"))
    assert [p.shown for p in pair.tokens[-4:]] == ["[SEP]", "bad", "film", "[SEP]"]


def test_time_and_json(classifiers):
    explained = explain(classifiers["two"], SENTENCES[0], "entropy(0.5)", attention=False, rounds=2)
    assert explained.clock.rounds == explained.clock.depth_rounds == 2
    assert len(explained.clock.by_depth) == 6
    assert min(explained.clock.policy, explained.clock.full, *explained.clock.by_depth) > 0
    values = json.loads(json.dumps(explained.to_dict(), allow_nan=False))
    assert values["kind"] == "text"
    assert values["steps"][0]["divergence"] is None
    assert values["rules"][0]["threshold"] == 0.5
    assert values["cost"]["layers_saved"] == pytest.approx(1 - explained.depth / 6)


@pytest.mark.parametrize("text", ["", "  \n", ("", " ")])
def test_an_empty_text_has_nothing_to_explain(classifiers, text):
    with pytest.raises(InputError, match="the text is empty"):
        explain(classifiers["two"], text)


def test_wrong_wishes(classifiers, tmp_path):
    from elbert.classifier import Classifier
    from tiny import write_bundle

    with pytest.raises(InputError, match="unknown label 'angry'; expected one of negative, positive"):
        explain(classifiers["two"], "a film", label="angry")
    with pytest.raises(PolicyError):
        explain(classifiers["two"], "a film", "depth(7)")
    with pytest.raises(InputError, match="text 0 is int"):
        explain(classifiers["two"], 3)
    number = Classifier.load(write_bundle(tmp_path / "number", labels=("value",), problem_type="regression"))
    with pytest.raises(InputError, match="expected a finite number"):
        explain(number, "a film", label="good")


def test_a_multi_label_truth_may_be_empty(classifiers):
    explained = untimed(classifiers["multi"], SENTENCES[2], label="")
    assert explained.truth == ()
    assert not math.isnan(explained.exit_step.score)
