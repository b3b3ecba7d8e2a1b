"""Shadow traffic: the sample, the comparison, the bounds, and that requests are never delayed."""

import logging
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from troubled import Parts, reference

from elbert.bundle import Certificate
from elbert.errors import InputError
from elbert.prediction import Prediction, TokenPrediction, Word
from elbert.serving.errors import NotReady
from elbert.serving.shadow import ChangeWindow, Shadow
from elbert.tasks import TASKS

CLASSES = TASKS["single_label_classification"]


def prediction(label, depth=2, **scores):
    return Prediction(label, 0.9, depth, 6, "entropy", scores)


def certificate(loss="inconsistency", risk=0.02):
    return Certificate(loss, risk, 0.05, 1000, 5, 0.01)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 300), share=st.floats(0, 1), error=st.sampled_from([0.01, 0.05, 0.2]))
def test_bounds_are_those_of_clopper_and_pearson(n, share, error):
    k = round(share * n)
    seen = ChangeWindow(1000, Certificate("inconsistency", 0.02, error, 100, 0, 0.1))
    for i in range(n):
        seen.add(i < k)
    for side, bound in (("greater", seen.lower), ("less", seen.upper)):
        expected = binomtest(k, n, alternative=side).proportion_ci(1 - error, method="exact")
        assert bound == pytest.approx(expected.low if side == "greater" else expected.high, abs=1e-9)
    if k:
        assert binom.sf(k - 1, n, seen.lower) == pytest.approx(error)


def test_the_window_slides():
    seen = ChangeWindow(10)
    for differs in [True] * 10 + [False] * 7:
        seen.add(differs)
    assert (len(seen.changes), seen.changed) == (10, 3)
    assert ChangeWindow(5).lower == 0
    assert ChangeWindow(5).upper == 1


def make_shadow(share=1.0, cert=None, task=CLASSES, **options):
    submitted = []
    return Shadow(share, {"safe": cert}, submitted.extend, task, random=Random(0), **options), submitted


def test_answers_are_compared_with_full_depth():
    shadow, submitted = make_shadow()
    tokens = reference()[0][:1]
    shadow.sample("safe", tokens, prediction("a"))
    shadow.sample("safe", tokens, prediction("b"))
    shadow.sample("safe", tokens, prediction("a", depth=6))  # already at full depth: nothing to run
    shadow.sample("depth(2)", tokens, prediction("a"))  # no watched point
    assert [str(r.policy) for r in submitted] == ["full", "full"]
    assert all(r.identity < 0 for r in submitted)
    for request in submitted:
        shadow.compare(request.identity, prediction("a", depth=6))
    assert shadow.to_dict()["points"]["safe"]["texts"] == 3
    assert shadow.points["safe"].changed == 1


def test_multi_label_answers_are_compared_as_sets():
    shadow, submitted = make_shadow(task=TASKS["multi_label_classification"])
    shadow.sample("safe", reference()[0][:1], prediction("a", a=0.9, b=0.6))
    shadow.compare(submitted[0].identity, prediction("a", depth=6, a=0.9, b=0.4))
    assert shadow.points["safe"].changed == 1


def tagged(*tags, depth=2):
    """Words with these tags; the entities of transformers' grouping do not matter."""
    words = tuple(Word(f"w{i}", tag, 0.9, i, i + 1) for i, tag in enumerate(tags))
    return TokenPrediction("O", 0.9, depth, 6, "entropy", words=words)


@pytest.mark.parametrize(
    ("early", "late", "is_changed"),
    [
        (("O", "B-city", "I-city"), ("O", "B-city", "I-city"), False),
        (("O", "I-city", "I-city"), ("O", "B-city", "I-city"), False),  # the same span
        (("O", "B-city", "B-city"), ("O", "B-city", "I-city"), True),
        (("O", "B-city", "I-city"), ("O", "B-name", "I-name"), True),
        (("O", "O", "O"), ("O", "O", "B-city"), True),
        ((), (), False),
    ],
)
def test_tags_are_compared_by_their_spans(early, late, is_changed):
    task = TASKS["token_classification"].bind(("O", "B-city", "I-city", "B-name", "I-name"))
    shadow, submitted = make_shadow(task=task)
    tokens = reference()[0][:1]
    shadow.sample("safe", tokens, tagged(*early), texts=("a text",))
    (request,) = submitted
    assert shadow.find_source(request.identity) == ("a text", tokens[0])
    shadow.compare(request.identity, tagged(*late, depth=6))
    assert list(shadow.points["safe"].changes) == [is_changed]
    assert shadow.find_source(request.identity) is None


@pytest.mark.parametrize(("certified", "changed"), [(None, 2), (0.3, 1)])
def test_values_differ_beyond_the_tolerance_of_the_certificate(certified, changed):
    cert = None if certified is None else replace(certificate(), tolerance=certified)
    shadow, submitted = make_shadow(cert=cert, task=TASKS["regression"], tolerance=0.1)
    for last in (0.95, 1.1, 1.4):  # early values are 0.9
        shadow.sample("safe", reference()[0][:1], prediction("value"))
        shadow.compare(submitted[-1].identity, replace(prediction("value", depth=6), score=last))
    assert shadow.points["safe"].changed == changed


def test_a_share_is_sampled_and_the_backlog_is_bounded():
    shadow, submitted = make_shadow(0.25, max_waiting=30)
    for _ in range(1000):
        shadow.sample("safe", reference()[0][:1], prediction("a"))
    assert len(submitted) == 30
    assert 170 < shadow.dropped < 270
    shadow.compare(submitted[0].identity, None)  # failed: dropped too
    assert submitted[0].identity not in shadow
    off, none = make_shadow(0.0)
    off.sample("safe", reference()[0][:1], prediction("a"))
    assert none == []


def test_texts_that_cannot_be_submitted_are_dropped():
    def reject(requests):
        raise NotReady("not now")

    shadow = Shadow(1.0, {"safe": None}, reject, CLASSES)
    shadow.sample("safe", reference()[0][:1], prediction("a"))
    assert (shadow.dropped, shadow.to_dict()["waiting"]) == (1, 0)
    with pytest.raises(InputError, match="share of shadow traffic is 2"):
        Shadow(2, {}, reject, CLASSES)


@pytest.mark.parametrize("loss", ["inconsistency", "harmful-flip"])
def test_a_violated_certificate_warns_once_and_again_after_a_recovery(caplog, loss):
    shadow, submitted = make_shadow(cert=certificate(loss), window=200)

    def serve(count, late):
        for _ in range(count):
            shadow.sample("safe", reference()[0][:1], prediction("a"))
            shadow.compare(submitted[-1].identity, prediction(late, depth=6))

    with caplog.at_level(logging.WARNING):
        serve(200, "a")
        assert not caplog.records
        serve(30, "b")
        assert len(caplog.records) == 1
        assert ("perhaps broken" in caplog.text) == (loss == "harmful-flip")
        serve(300, "a")
        serve(30, "b")
        assert len(caplog.records) == 2


def test_shadow_texts_run_only_while_no_request_waits():
    parts = Parts(share=1.0)
    parts.run_once()
    got = []
    for _ in range(3):
        parts.submit(range(4), got.append, spec="safe")
    while len(parts.dispatcher):
        parts.run_once()
        assert not parts.steps[-1].idle, "what can wait was served before a request"
    assert len(got) == 12
    early = [item for item in got if item.prediction.depth < 6]
    assert len(early) > 2
    assert parts.shadow.to_dict()["waiting"] == len(early)
    parts.run_once()
    assert parts.steps[-1].idle
    parts.submit([0], got.append)  # a new request gets the next step
    parts.run_once()
    assert not parts.steps[-1].idle
    for _ in range(60):
        parts.run_once()
    seen = parts.shadow.points["safe"]
    tokens, full = reference()
    assert parts.shadow.to_dict()["waiting"] == 0
    assert len(seen.changes) == 13
    differ = sum(item.prediction.label != ("negative", "positive")[int(full[item.index, -1].argmax())] for item in got)
    assert seen.changed == differ


def windowed(label, *depths):
    return replace(prediction(label, depth=max(depths)), windows=3, window_depths=depths)


def test_windows_run_to_full_depth_and_are_compared_once_as_one_text():
    cert = replace(certificate(), long="windows(mean)")
    shadow, submitted = make_shadow(cert=cert, max_waiting=5)
    rows = reference()[0][:3]

    def last(parts):
        return parts[-1]

    shadow.sample("safe", rows, windowed("a", 2), last, "windows(mean)")  # settled after one of three windows
    assert [request.tokens for request in submitted] == list(rows)
    for long, read in ((None, rows[:1]), ("windows(vote)", rows)):  # not as it was certified
        shadow.sample("safe", read, prediction("a"), long=long)
    shadow.sample("safe", rows, windowed("a", 2, 2, 3), last, "windows(mean)")  # 6 rows would wait
    assert (len(submitted), shadow.dropped, shadow.to_dict()["waiting"]) == (3, 1, 1)
    for request in (submitted[2], submitted[0], submitted[1]):  # in any order
        assert not shadow.points["safe"].changes
        shadow.compare(request.identity, prediction("b" if request is submitted[2] else "a", depth=6))
    assert list(shadow.points["safe"].changes) == [True]
    shadow.sample("safe", rows, windowed("a", 6, 6, 6), last, "windows(mean)")  # nothing to run
    assert list(shadow.points["safe"].changes) == [True, False]
    shadow.sample("safe", rows, windowed("a", 2), last, "windows(mean)")
    for request in submitted[3:]:
        shadow.compare(request.identity, None if request is submitted[4] else prediction("a", depth=6))
    assert (shadow.dropped, shadow.to_dict()["waiting"], len(shadow.points["safe"].changes)) == (2, 0, 2)
    shadow.sample("safe", rows, windowed("a", 2), last, "windows(mean)")
    shadow.drop_all()
    assert shadow.dropped == 3


def test_texts_in_windows_do_not_count_for_a_certificate_of_cut_texts():
    shadow, submitted = make_shadow(cert=certificate())
    rows = reference()[0][:3]
    shadow.sample("safe", rows, windowed("a", 2), long="windows(mean)")
    assert submitted == []
    shadow.sample("safe", rows[:1], prediction("a"), long="windows(mean)")  # it fits: as if cut
    assert len(submitted) == 1
    free, taken = make_shadow()
    free.sample("safe", rows, windowed("a", 2), long="windows(mean)")
    assert len(taken) == 3
