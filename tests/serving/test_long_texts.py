"""The service reads long texts in windows: the answers of the classifier, one result a text, and nothing is lost."""

import asyncio
import time
from copy import copy
from dataclasses import replace

import pytest
from test_service import serving, until
from troubled import tiny_classifier, troubled_classifier

from elbert.bundle import Certificate, OperatingPoint
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.serving.dispatcher import NullObserver
from elbert.serving.errors import TooLong
from elbert.tokenization.bounded_encoding import BoundedEncoder
from tiny import texts

LONG = [" ".join(texts(6, seed, longest=60)) for seed in range(8)]
MIXED = ["a good film", *LONG, ("is it good", LONG[0]), ""]
WAYS = ("windows", "windows(maximum)", "windows(vote, patience(2))", "windows(mean, full)", "cut")


class Counting(NullObserver):
    def __init__(self):
        self.accepted, self.results, self.cancelled = [], [], 0

    def on_accept(self, tokens, characters):
        self.accepted.append((tokens, characters))

    def on_result(self, result):
        self.results.append(result)

    def on_cancel(self, number):
        self.cancelled += number


def test_results_are_those_of_the_classifier():
    counting = Counting()

    async def test(service):
        for long in WAYS:
            for item, expected in zip(
                await service.gather(MIXED, long=long), tiny_classifier().predict(MIXED, long=long), strict=True
            ):
                found = item.prediction
                assert item.error is None and item.truncated == expected.truncated
                assert (found.label, found.windows, found.window_depths) == (
                    *(expected.label, expected.windows, expected.window_depths),
                )
                assert list(found.scores.values()) == pytest.approx(list(expected.scores.values()), abs=1e-5)
                if found.windows is not None:
                    rows = tiny_classifier().tokeniser.encode_windows([MIXED[item.index]])[0][: found.windows_read]
                    assert item.tokens == sum(map(len, rows))
                    assert item.layer_tokens == sum(map(int.__mul__, map(len, rows), found.window_depths))
        assert service.info()["layer_tokens_under_way"] == 0

    serving(test, observer=counting, max_concurrent_requests=100)
    assert len(counting.accepted) == len(counting.results) == len(WAYS) * len(MIXED)


def test_the_setting_holds_for_requests_that_name_nothing_else():
    async def test(service):
        [plain] = await service.gather(LONG[:1])
        [cut] = await service.gather(LONG[:1], long="cut")
        [traced] = await service.gather(LONG[:1], trace=True)
        [raw] = await service.gather(LONG[:1], raw=True)
        [shorter] = await service.gather(LONG[:1], max_tokens=10)
        [whole] = await service.gather(LONG[:1], truncate=False)
        assert plain.prediction.windows == whole.prediction.windows > 1 and not plain.truncated
        assert all(item.truncated and item.prediction.windows is None for item in (cut, traced, raw, shorter))
        [pair] = await service.gather([(LONG[0], LONG[1])], truncate=False)
        assert isinstance(pair.error, TooLong)
        for option in ({"trace": True}, {"raw": True}, {"max_tokens": 10}):
            with pytest.raises(InputError, match="leave"):
                await service.gather(LONG[:1], long="windows", **option)
        with pytest.raises(InputError, match="expected cut, windows, or"):
            await service.gather(LONG[:1], long="pages")

    serving(test, long="windows(mean, full)")


def test_an_error_of_a_window_is_one_error_of_its_text():
    classifier, counting = troubled_classifier(), Counting()

    async def test(service):
        classifier.backend.nan = 1
        items = await service.gather(LONG[:2], long="windows(mean, full)")
        assert len(items) == 2 and any(item.error for item in items)
        assert all((item.prediction is None) == (item.error is not None) for item in items)
        [after] = await service.gather(LONG[:1], long="windows(mean, full)")
        assert after.error is None and service.info()["under_way"] == 0

    serving(test, classifier=classifier, observer=counting)
    assert len(counting.results) == 3


def test_a_client_that_goes_frees_all_windows():
    counting = Counting()

    async def test(service):
        for long in ("windows(mean, full)", "windows(mean, patience(9))"):
            stream = await service.classify(LONG, long=long)
            await asyncio.sleep(0)
            stream.close()
            await until(lambda: service.info()["under_way"] == 0 == service.info()["layer_tokens_under_way"])
        assert (await service.gather(["a film"]))[0].error is None

    serving(test, observer=counting)
    assert counting.cancelled + len(counting.results) == 2 * len(LONG) + 1


def test_at_its_deadline_a_text_has_the_answer_of_its_windows_so_far():
    classifier = troubled_classifier()

    async def test(service):
        await service.gather(LONG, long="windows(mean, full)")
        classifier.backend.before_step = lambda: time.sleep(0.02)
        text = " ".join(LONG)
        [late] = await service.gather([text], long="windows(mean, divergence(2, 0.0))", deadline_ms=300, policy="full")
        found = late.prediction
        assert found.reason == "deadline" and 1 <= found.windows_read < found.windows
        assert not late.truncated and late.tokens > 0

    serving(test, classifier=classifier)


def test_what_is_cut_is_not_tokenized(monkeypatch):
    """A text of a million characters: in the service, in a list, in a stream and in a live one."""
    classifier = tiny_classifier()
    counted = []
    encode_batch = BoundedEncoder._encode_chunk

    def count(self, chunk, texts):
        counted.append(sum(len(part) for _, part in chunk))
        return encode_batch(self, chunk, texts)

    monkeypatch.setattr(BoundedEncoder, "_encode_chunk", count)
    for text in ("film " * 200_000, "film\n" * 200_000, " " * 999_990 + "film"):
        classifier.predict([text])
        list(classifier.stream([text], live=True))
        serving(lambda service, text=text: service.gather([text]))
        assert len(counted) >= 3 and sum(counted) <= 3 * 5000
        counted.clear()


def test_a_request_is_compared_with_the_conditions_of_its_operating_point(monkeypatch):
    compared = []
    monkeypatch.setattr(Classifier, "check_long", lambda _, policy, windows: compared.append(windows and str(windows)))

    async def test(service):
        assert compared == ["windows(mean)"]  # the default, at the start
        for options in ({}, {"long": "windows(vote)"}, {"long": "cut"}, {"trace": True}):
            await service.gather(["a film"], **options)

    serving(test, long="windows")
    assert compared == ["windows(mean)", "windows(vote)", None, None]


def test_shadow_traffic_watches_a_certificate_over_windows():
    """What it finds is what the classifier gives: another answer than that of all windows at full depth."""
    classifier = tiny_classifier()
    long, policy = "windows(mean)", classifier.resolve_policy("safe")
    certificate = Certificate("inconsistency", 0.02, 0.05, 100, 0, 0.01, long=long)
    points = {**classifier.bundle.points, "safe": OperatingPoint(policy, certificate=certificate)}
    watched = copy(classifier)
    watched.bundle = replace(classifier.bundle, points=points, default="safe")

    async def test(service):
        found = await service.gather(LONG, long=long, policy="safe")
        await service.gather(LONG, long="cut", policy="safe")
        await until(lambda: service.info()["shadow"]["waiting"] == 0)
        full = classifier.predict(LONG, "full", long="windows(mean, full)")
        differing = sum(item.prediction.label != whole.label for item, whole in zip(found, full, strict=True))
        [shadow] = [service.info()["shadow"]]
        counts = shadow["points"]["safe"]
        assert (counts["texts"] + shadow["dropped"], shadow["dropped"]) == (len(LONG), 0)
        assert counts["differing"] == differing > 0

    serving(test, classifier=watched, shadow=1.0, max_concurrent_requests=100)
