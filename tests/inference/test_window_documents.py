"""Long texts in windows: streams against a plain reference, combinations, and what is refused."""

import dataclasses

import numpy as np
import pytest

from elbert import Classifier, policy
from elbert.engine import Engine
from elbert.errors import InputError, PolicyError
from elbert.evaluation.document_outputs import DocumentTrials, collect_documents
from elbert.exits import Trace
from elbert.inference import Windows
from tiny import texts, write_bundle

KINDS = {
    "single": {},
    "multi": {"labels": ("good", "dull", "long"), "problem_type": "multi_label_classification"},
    "values": {"labels": ("stars",), "problem_type": "regression"},
}
LONG = [" ".join(texts(6, seed, longest=60)) for seed in range(12)]
MIXED = ["a good film", *LONG[:4], ("is it good", LONG[5]), (LONG[6], LONG[7]), "", *LONG[8:]]


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    return {
        name: Classifier.load(write_bundle(place / name, seed=4, **changes), dtype="float32", threads=1)
        for name, changes in KINDS.items()
    }


@pytest.fixture
def classifier(classifiers):
    return classifiers["single"]


def read_slowly(classifier, text, spec, combination, stop):
    """The reference: one window after another, alone; every number computed again from all windows so far."""
    config, rows = classifier.bundle.config, policy(spec)
    (windows,) = classifier.tokeniser.encode_windows([text])
    outputs, depths, steps = [], [], []
    for window in windows:
        [exits] = [e for e in classifier.exits([window], rows) if len(e)]
        outputs.append(exits.probabilities[0].astype(np.float64))
        depths.append(int(exits.depth[0]))
        steps.append(combine(outputs, config, "mean" if combination == "vote" else combination))
        seen = np.array([steps], np.float32)
        trace = Trace.from_outputs(seen, multi_label=config.multi_label, content=config.task.content)
        rules = policy(stop or OVER_WINDOWS.get(spec, spec)).rules
        if any(rule.fires(trace.at(len(steps)))[0] for rule in rules if stop or rule.reads):
            break
    scores = combine(outputs, config, combination if len(windows) > 1 else "mean")
    means = combine(outputs, config, "mean")
    best = max(range(len(scores)), key=lambda label: (scores[label], means[label]))
    return config.labels[best], list(map(float, scores)), len(windows), tuple(depths)


def combine(outputs, config, combination):
    single = config.task.content == "probabilities" and not config.multi_label
    columns = list(zip(*outputs, strict=True))
    if combination == "maximum":
        best = [max(column) for column in columns]
        return np.array(best if not single else [one / sum(best) for one in best], np.float32)
    if combination == "vote":
        tops = [int(np.argmax(output)) for output in outputs]
        columns = [
            [top == label for top in tops] if single else [value >= 0.5 for value in column]
            for label, column in enumerate(columns)
        ]
    return np.array([sum(column) / len(column) for column in columns], np.float32)


def check(prediction, expected):
    label, scores, windows, depths = expected
    assert (prediction.windows, prediction.window_depths) == (windows, depths)
    assert prediction.depth == max(depths) and prediction.windows_read == len(depths)
    assert list(prediction.scores.values()) == pytest.approx(scores, abs=5e-6)  # torch rounds by the rows of a call
    assert prediction.label == label
    assert prediction.score == prediction.scores[prediction.label]


OVER_WINDOWS = {"tempered(entropy(0.7), 1.0, 2.0, 1.5)": "tempered(entropy(0.7), 1.5)"}  # the last temperature
WAYS = [
    ("single", "entropy(0.8)", "mean", None),
    ("single", "patience(2)", "maximum", None),
    ("single", "window(entropy=0.3, size=3) | depth(4)", "vote", None),
    ("single", "depth(2)", "mean", None),
    ("single", "full", "vote", "divergence(2, 0.01) | depth(5)"),
    ("single", "tempered(entropy(0.7), 1.0, 2.0, 1.5)", "mean", None),
    ("multi", "entropy(0.9)", "mean", None),
    ("multi", "patience(2)", "vote", "full"),
    ("multi", "patience(1)", "maximum", "confidence(0.8)"),
    ("values", "settled(1, 0.5)", "mean", None),
    ("values", "full", "maximum", "settled(2, 0.3)"),
]


@pytest.mark.parametrize(("kind", "spec", "combination", "stop"), WAYS)
@pytest.mark.parametrize("live", [False, True])
def test_streams_equal_the_plain_reference(classifiers, kind, spec, combination, stop, live):
    classifier = classifiers[kind]
    long = f"windows({combination}{f', {stop}' if stop else ''})"
    found = list(classifier.stream(iter(MIXED), spec, long=long, live=live))
    for text, prediction in zip(MIXED, found, strict=True):
        check(prediction, read_slowly(classifier, text, spec, combination, stop))


@pytest.mark.parametrize(("kind", "spec", "combination", "stop"), WAYS)
def test_a_replay_over_saved_outputs_equals_live_documents(classifiers, kind, spec, combination, stop):
    classifier, kept = classifiers[kind], [text for text in MIXED if text]
    windows = classifier.resolve_long(f"windows({combination}{f', {stop}' if stop else ''})")
    outputs = collect_documents(classifier, kept, None, windows)
    replayed = DocumentTrials(outputs).run(policy(spec))
    found = classifier.predict(kept, spec, long=windows)
    assert outputs.sizes.tolist() == [prediction.windows for prediction in found]
    assert replayed.read.tolist() == [prediction.windows_read for prediction in found]
    for depth, prediction in zip(replayed.depth, found, strict=True):
        assert depth[depth > 0].tolist() == list(prediction.window_depths)
    if kind == "single":
        assert [classifier.labels[best] for best in replayed.answers.argmax(1)] == [p.label for p in found]
    else:
        scores = [list(prediction.scores.values()) for prediction in found]
        several = outputs.sizes > 1  # one window alone has its own scores, which a vote counts as 0 or 1
        assert replayed.answers[several] == pytest.approx(np.array(scores)[several], abs=2e-6)
        assert ((replayed.answers >= 0.5) == (np.array(scores) >= 0.5)).all()


def test_some_documents_stop_and_others_are_read_to_the_end(classifier):
    firsts = [prediction.score for prediction in classifier.predict(LONG, "depth(2)", long="cut")]
    middle = sorted(firsts)[len(firsts) // 2]
    found = classifier.predict(LONG, "depth(2)", long=f"windows(mean, confidence({middle}))")
    for first, prediction in zip(firsts, found, strict=True):
        assert (prediction.windows_read > 1) == (first < middle)
    assert all(p.windows_read == p.windows for p in classifier.predict(LONG, "depth(2)", long="windows"))
    assert all(p.windows_read == 2 for p in classifier.predict(LONG, "full", long="windows(mean, depth(2))"))


def test_windows_that_cannot_be_the_last_are_read_together(classifier):
    (document,) = classifier._open_source([], classifier.policy, False, classifier.resolve_long("windows"))._build(
        [LONG[0] + " " + LONG[1]]
    )
    assert document.take_windows() == list(range(len(document.windows)))  # full has no rule
    options = classifier.resolve_long("windows(mean, patience(2))")
    (document,) = classifier._open_source([], classifier.policy, False, options)._build([LONG[0] + " " + LONG[1]])
    assert document.take_windows() == [0, 1] and document.take_windows() == []


def test_few_texts_are_read_while_a_long_one_is_not_done(classifier, monkeypatch):
    monkeypatch.setattr("elbert.engine.offline.BLOCK", 4)
    monkeypatch.setattr("elbert.engine.window_reader.READ_AHEAD", 8)
    read = []

    def generate():
        for text in [" ".join(LONG), *["a film"] * 300]:
            read.append(text)
            yield text

    stream = classifier.stream(generate(), "depth(1)", long="windows(mean, divergence(2, 0.0))")
    assert next(stream).windows_read > 20
    assert len(read) <= 8 + 2 * 4
    assert len(list(stream)) == 300


def test_without_it_a_text_is_cut(classifier):
    plain, cut = classifier.predict(LONG), classifier.predict(LONG, long="cut")
    assert plain == cut and all(p.truncated and p.windows is None and p.windows_read == 1 for p in plain)
    assert "windows" not in plain[0].to_dict()
    in_windows = classifier.predict([*LONG, "a film"], long="windows")
    assert not any(prediction.truncated for prediction in in_windows)
    assert in_windows[-1].to_dict()["windows"] == 1
    assert in_windows[-1].scores == pytest.approx(classifier.predict(["a film"])[0].scores, abs=1e-6)


def test_a_pair_keeps_its_shorter_text_in_every_window(classifier):
    question, document = classifier.predict([("is it good", LONG[0]), (LONG[0], LONG[1])], long="windows(mean, full)")
    assert not question.truncated and question.windows > 1
    assert document.truncated  # of the shorter text, what fits into half of a row


def test_an_error_of_a_text_is_in_its_place(classifier):
    found = list(classifier.stream_results([LONG[0], 3, LONG[1], "a \ud800"], long="windows", live=True))
    assert [isinstance(result, Exception) for result in found] == [False, True, False, True]


def test_an_error_of_one_window_is_that_of_its_text(classifier, monkeypatch):
    bad = classifier.tokeniser.encode_windows([LONG[1]])[0][1].ids
    admit = Engine._embed

    def fail(self, requests):
        if any(request.tokens.ids == bad for request in requests):
            raise RuntimeError("a window with these tokens")
        return admit(self, requests)

    monkeypatch.setattr(Engine, "_embed", fail)
    found = list(classifier.stream_results([LONG[0], "a film", LONG[1], LONG[2]], long="windows(mean, full)"))
    assert [isinstance(result, Exception) for result in found] == [False, False, True, False]


@pytest.mark.parametrize(
    ("kind", "long", "why"),
    [
        ("single", "window", "expected cut, windows, or"),
        ("single", "windows(sum)", "expected cut, windows, or"),
        ("single", "windows(mean", "expected cut, windows, or"),
        ("single", 3, "expected cut, windows, or"),
        ("single", "windows(mean, patience)", "patience"),
        ("single", "windows(mean, settled(2, 0.1))", "does not fit"),
        ("single", "windows(mean, depth(99))", "counts windows, at most 64; accepted is"),
        ("values", "windows(vote)", "a vote needs labels"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(classifiers, kind, long, why):
    with pytest.raises((InputError, PolicyError), match=why) as caught:
        classifiers[kind].predict(["a film"], long=long)
    assert "\n" not in str(caught.value)


def test_a_trace_is_of_one_row(classifier):
    with pytest.raises(InputError, match="use one of both"):
        classifier.predict(["a film"], trace=True, long="windows")


def test_a_spec_is_read_back(classifier):
    for spec in ("windows(mean)", "windows(vote, entropy(0.1) | depth(4))", "windows(maximum, full)"):
        options = classifier.resolve_long(spec)
        assert str(options) == spec and classifier.resolve_long(options) == options
    assert classifier.resolve_long("windows") == Windows() == classifier.resolve_long(" windows ")
    assert dataclasses.replace(Windows(), combination="vote") == classifier.resolve_long("windows(vote)")


def test_probabilities_are_those_of_the_combination(classifier):
    found = classifier.predict(LONG[:3], long="windows(vote, full)")
    rows = classifier.predict_proba(LONG[:3], long="windows(vote, full)")
    assert rows.tolist() == [list(prediction.scores.values()) for prediction in found]
    assert rows.sum(1) == pytest.approx(np.ones(3), abs=1e-6)


def test_a_deadline_ends_a_document(classifier):
    (document,) = classifier._open_source(
        [], classifier.policy, False, classifier.resolve_long("windows(mean, depth(9))")
    )._build([" ".join(LONG)])
    (first, *_) = classifier.predict([LONG[0]], "depth(3)", long="cut")
    numbers = document.take_windows()
    assert len(numbers) == 9 < len(document.windows)
    late = dataclasses.replace(first, reason="deadline", depth=1)
    results = [document.add(number, late if number == 4 else first) for number in numbers]
    assert results[:-1] == [None] * 8
    assert (results[-1].reason, results[-1].depth, results[-1].windows_read) == ("deadline", 3, 9)
