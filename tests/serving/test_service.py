"""The service, on asyncio, with its real thread: answers, errors, cancellation, limits, start and stop."""

import asyncio
import gc
import logging
import math
import threading
import time
import weakref
from types import SimpleNamespace

import pytest
from troubled import FakeClock, tiny_classifier, troubled_classifier

from elbert.errors import InputError, PolicyError
from elbert.serving import dispatcher
from elbert.serving.dispatcher import NullObserver
from elbert.serving.errors import BackendFailure, NotReady, Overloaded, TooLong
from elbert.serving.service import Service
from elbert.serving.settings import Settings
from elbert.serving.tokenizer_pool import tokenize_texts
from tiny import texts


def serving(test, *, classifier=None, observer=None, clock=time.monotonic, **options):
    """Run ``test(service)`` on a service that is started, and stopped afterwards; nothing may hang."""

    async def run():
        one = classifier or troubled_classifier()
        service = Service(one, Settings(**({"pause": 0.001} | options)), observer=observer, clock=clock)
        await service.start()
        try:
            return await test(service)
        finally:
            one.backend.before_step = None
            await service.stop(5)

    return asyncio.run(asyncio.wait_for(run(), 60))


async def until(condition):
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come to pass")


def test_results_equal_the_classifiers():
    sentences = [*texts(20, seed=3), ("the film", "is good")]

    async def test(service):
        for spec in (None, "balanced", "full", "patience(2)"):
            for item, expected in zip(
                await service.gather(sentences, policy=spec), tiny_classifier().predict(sentences, spec)
            ):
                assert item.error is None
                assert (item.prediction.label, item.prediction.depth, item.prediction.reason) == (
                    expected.label,
                    expected.depth,
                    expected.reason,
                )
                assert item.prediction.scores == pytest.approx(expected.scores, abs=1e-5)
                assert item.point == (spec or "safe")
                assert item.layer_tokens == item.tokens * expected.depth
                assert item.prediction.trace is None
                assert item.logits is None

    serving(test)


def test_many_concurrent_requests_each_get_their_own_results():
    sentences = texts(60, seed=8)
    expected = tiny_classifier().predict(sentences)

    async def test(service):
        async def ask(i):
            (item,) = await service.gather([sentences[i]], trace=i % 3 == 0, raw=i % 2 == 0)
            return item

        for i, item in enumerate(await asyncio.gather(*map(ask, range(60)))):
            assert item.prediction.scores == pytest.approx(expected[i].scores, abs=1e-5)
            assert (item.prediction.trace is not None) == (i % 3 == 0)
            assert (item.logits is not None) == (i % 2 == 0)

    serving(test)


def test_results_arrive_as_rows_exit():
    async def test(service):
        service.classifier.backend.before_step = lambda: time.sleep(0.01)
        async with await service.classify(["a good film", "dull"], policy="depth(6)") as slow:
            async with await service.classify(["it was empty"], policy="depth(1)") as quick:
                found = [item async for item in quick]
            assert service.info()["under_way"] == 2, "a text waited for later ones"
            found += [item async for item in slow]
        assert [item.prediction.depth for item in found] == [1, 6, 6]

    serving(test)


def test_raw_scores_are_the_models_logits():
    async def test(service):
        (item,) = await service.gather(["a good film"], raw=True, policy="full")
        a, b = item.logits.values()
        p = item.prediction.scores
        assert list(item.logits) == list(p)
        assert b - a == pytest.approx(math.log(p["positive"] / p["negative"]), abs=1e-4)

    serving(test)


def test_an_error_of_one_text_affects_no_other():
    long = "good " * 200

    async def test(service):
        items = await service.gather(["good", 3, "lone \ud800", long, ""], truncate=False)
        assert [type(item.error) for item in items] == [type(None), InputError, InputError, TooLong, type(None)]
        assert [item.index for item in items] == list(range(5))
        assert "more than 64 tokens" in str(items[3].error)
        (cut,) = await service.gather([long])
        assert (cut.truncated, cut.tokens) == (True, 64)
        assert service.info()["under_way"] == service.info()["layer_tokens_under_way"] == 0

    serving(test)


@pytest.mark.parametrize("text", ["one two three " * 40, ("good " * 100, "bad film " * 3), ("good", "bad " * 99)])
def test_truncation_on_the_left_keeps_the_end(text):
    tokeniser = tiny_classifier().tokeniser
    (cut,) = tokeniser.encode([text], "left")
    (usual,) = tokeniser.encode([text])
    assert (len(cut.ids), cut.type_ids, cut.truncated) == (64, usual.type_ids, True)
    whole = tokeniser._tokenizer.encode(*((text,) if isinstance(text, str) else text)).ids
    second = cut.type_ids.count(1)
    assert cut.ids[-max(second, 10) :] == whole[-max(second, 10) :]
    assert cut.ids[0] == whole[0]
    found = tokenize_texts(tokeniser, ["good", text], truncate=True, direction="left")
    assert found == [tokeniser.encode(["good"])[0], cut]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"policy": "entropy(7)"}, PolicyError, "accepted is entropy"),
        ({"policy": "depth(9)"}, PolicyError, "6 depths"),
        ({"policy": " | ".join(f"patience({n})" for n in range(1000, 970, -1))}, PolicyError, "at most 60"),
        ({"policy": "tempered(" * 40 + "gap(1)" + ",1)" * 40}, PolicyError, "reads 241 numbers"),
        ({"policy": "quick"}, PolicyError, "operating points of this model: safe"),
        ({"deadline_ms": 0}, InputError, "milliseconds above 0"),
        ({"deadline_ms": float("nan")}, InputError, "milliseconds above 0"),
        ({"texts": []}, InputError, "expected 1 to 32"),
        ({"texts": ["a"] * 33}, InputError, "33 texts in a request"),
    ],
)
def test_invalid_requests_are_rejected_at_once(options, error, message):
    seen = []

    class Watching(NullObserver):
        def on_reject(self, error):
            seen.append(error)

    async def test(service):
        with pytest.raises(error, match=message):
            await service.classify(**({"texts": ["a"]} | options))
        assert service.info()["under_way"] == 0

    serving(test, observer=Watching())
    assert [type(e) for e in seen] == [error]


def test_a_deadline_costs_depth_and_not_the_prediction():
    clock = FakeClock()

    async def test(service):
        began = clock.now
        items = await service.gather(["a good film", "bad plot"], policy="full", deadline_ms=3500)
        assert {(item.prediction.depth, item.prediction.reason) for item in items} == {(3, "deadline")}
        assert clock.now - began == 3  # seconds, one a layer
        expected = tiny_classifier().predict(["a good film", "bad plot"], "depth(3)")
        for item, same in zip(items, expected):
            assert item.prediction.scores == pytest.approx(same.scores, abs=1e-5)

    serving(test, classifier=troubled_classifier(clock), clock=clock, step_limit=1e9)


def test_a_deadline_that_passes_during_tokenization_rejects_the_request():
    async def test(service):
        encode = service.classifier.tokeniser.encode_each
        go = threading.Event()
        service._pipeline._tokenizers._tokeniser = SimpleNamespace(
            encode_each=lambda *arguments: go.wait(30) and encode(*arguments), max_length=64
        )
        with pytest.raises(Overloaded, match="deadline passed"):
            await service.classify(["a good film"], deadline_ms=20)
        assert service._pipeline.admission.texts == service._pipeline.tokenizing == 0
        go.set()
        (item,) = await service.gather(["a good film"], deadline_ms=60_000)
        assert item.prediction is not None

    serving(test)


def test_a_result_that_cannot_be_delivered_fails_its_texts_and_no_other(monkeypatch):
    async def test(service):
        def fail(*_):
            monkeypatch.setattr(dispatcher, "build_predictions", sound)
            raise ValueError("no prediction")

        sound = dispatcher.build_predictions
        monkeypatch.setattr(dispatcher, "build_predictions", fail)
        logging.disable(logging.ERROR)
        (item,) = await service.gather(["a good film"])
        logging.disable(logging.NOTSET)
        assert isinstance(item.error, BackendFailure)
        (item,) = await service.gather(["a good film"])
        assert item.prediction is not None

    serving(test)


def test_a_service_that_is_stopped_while_it_starts_does_not_start():
    async def run():
        service = Service(troubled_classifier())
        starting = asyncio.create_task(service.start())
        await asyncio.sleep(0)
        await service.stop()
        with pytest.raises(NotReady, match="stopped before"):
            await starting
        assert not service.is_ready
        assert starting.done()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_overload_is_rejected_at_once_and_accepted_requests_are_answered():
    async def test(service):
        service.classifier.backend.before_step = lambda: time.sleep(0.005)
        accepted = [asyncio.create_task(service.gather(["good film"], policy="full")) for _ in range(12)]
        await until(lambda: service.info()["under_way"] == 10)
        with pytest.raises(Overloaded, match="10 texts") as overload_error:
            await service.classify(["one more"])
        assert overload_error.value.retry_after > 0
        found = await asyncio.gather(*accepted, return_exceptions=True)
        assert sum(isinstance(one, Overloaded) for one in found) == 2
        assert sum(isinstance(one, list) and one[0].prediction is not None for one in found) == 10
        await service.gather(["now there is capacity"])

    serving(test, max_concurrent_requests=10)


def test_any_number_of_policies_share_the_layer_calls_and_reject_no_client():
    specs = [f"entropy({number / 1000})" for number in range(100)]
    expected = [tiny_classifier().predict(["a good film"], spec)[0] for spec in specs]

    async def test(service):
        found = await asyncio.gather(*(service.gather(["a good film"], policy=spec) for spec in specs))
        for ((item,), same), spec in zip(zip(found, expected), specs):
            assert (item.prediction.label, item.prediction.depth, item.point) == (same.label, same.depth, spec)
        service.classifier.backend.before_step = lambda: time.sleep(0.005)
        attackers = [asyncio.create_task(service.gather(["a"], policy=f"entropy({n / 10**6:.6f})")) for n in range(100)]
        await until(lambda: service.info()["under_way"] == 100)
        for spec in (None, "safe", "fast", "full", "depth(1)", "entropy(0.123)"):
            assert (await service.gather(["good"], policy=spec))[0].prediction is not None
        await asyncio.gather(*attackers)

    serving(test)


@pytest.mark.parametrize("way", ["cancelled", "closed", "left"])
def test_a_disconnected_client_frees_its_rows(way):
    seen = []

    class Watching(NullObserver):
        def on_cancel(self, texts):
            seen.append(texts)

    async def test(service):
        service.classifier.backend.before_step = lambda: time.sleep(0.005)
        if way == "cancelled":
            task = asyncio.create_task(service.gather(["a good film"] * 8, policy="full"))
            await until(lambda: service.info()["under_way"] == 8)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            async with await service.classify(["a good film"] * 8, policy="full") as answers:
                if way == "closed":
                    answers.close()
            assert [item async for item in answers] == []
        info = service.info()
        assert (info["under_way"], info["waiting"], info["layer_tokens_under_way"]) == (0, 0, 0)
        await until(lambda: not len(service._worker._engines))
        assert (await service.gather(["good"]))[0].prediction is not None

    serving(test, observer=Watching())
    assert seen == [8]


def test_a_client_that_disconnects_during_tokenization_leaves_nothing_behind():
    async def test(service):
        task = asyncio.create_task(service.gather(["a good film"] * 8))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not service._is_busy)
        assert service._pipeline.admission.texts == 0

    serving(test)


def test_nan_is_the_error_of_its_text():
    async def test(service):
        service.classifier.backend.nan = 1
        (item,) = await service.gather(["good film"], policy="full")
        assert isinstance(item.error, BackendFailure)
        assert "NaN" in str(item.error)
        assert item.prediction is None
        (item,) = await service.gather(["good film"], policy="full")
        assert item.prediction is not None
        assert service.is_ready

    serving(test)


def test_nan_weights_fail_every_text_and_no_client_hangs():
    async def test(service):
        service.classifier.backend.nan = 10**9
        items = await service.gather(["good film", "bad"])
        assert all(isinstance(item.error, BackendFailure) for item in items)
        assert service.is_healthy

    serving(test)


def test_a_stuck_step_leaves_no_client_waiting():
    async def test(service):
        service.classifier.backend.before_step = lambda: time.sleep(0.7)
        logging.disable(logging.ERROR)
        (item,) = await service.gather(["good film"])
        logging.disable(logging.NOTSET)
        assert isinstance(item.error, BackendFailure)
        assert not service.is_ready

    serving(test, step_limit=0.2)


def test_texts_in_progress_survive_a_pause_of_the_process():
    clock, healthy = FakeClock(), []

    def pause():
        clock.now += 70  # what a clock shows after SIGSTOP, 70 seconds, and SIGCONT
        time.sleep(0.15)  # the event loop looks meanwhile

    async def test(service):
        service.classifier.backend.before_step = pause
        task = asyncio.create_task(service.gather(["good film", "bad"], policy="depth(2)"))
        while not task.done():
            healthy.append(service.is_healthy)
            await asyncio.sleep(0.01)
        assert [item.error for item in await task] == [None, None]

    serving(test, classifier=troubled_classifier(clock), clock=clock)
    assert all(healthy)


def test_an_engine_that_does_not_start_raises():
    one = troubled_classifier()
    one.backend.failing = 10**6

    async def run():
        service = Service(one, Settings(pause=0.001))
        with pytest.raises(NotReady):
            await service.classify(["too early"])
        with pytest.raises(BackendFailure, match="does not start"):
            await service.start()
        assert (service.is_ready, service.is_healthy) == (False, False)
        await service.stop(0)

    logging.disable(logging.ERROR)
    asyncio.run(run())
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("enough", [True, False])
def test_stopping_finishes_requests_in_progress_in_time(enough):
    async def test(service):
        service.classifier.backend.before_step = lambda: time.sleep(0.01)
        task = asyncio.create_task(service.gather(["a good film"] * 12, policy="full"))
        await until(lambda: service.info()["under_way"] == 12)
        stopping = asyncio.create_task(service.stop(30 if enough else 0.02))
        await asyncio.sleep(0)
        assert not service.is_ready
        with pytest.raises(NotReady):
            await service.classify(["too late"])
        finished, items = await stopping, await task
        assert finished == enough
        assert len(items) == 12
        if enough:
            assert all(item.prediction is not None for item in items)
        else:
            assert any(isinstance(item.error, NotReady) for item in items)

    serving(test)


def test_an_observer_gets_every_event_and_its_failure_is_harmless():
    seen = []

    class Noisy(NullObserver):
        def on_accept(self, tokens, characters):
            seen.append(("admitted", tokens, characters))

        def on_result(self, item):
            seen.append(("result", item.index))
            raise RuntimeError("the metrics are full")

        def on_step(self, step):
            if step.call:
                seen.append(("stepped", step.call.rows, step.call.tokens, step.call.depths.tolist(), step.idle))

    async def test(service):
        await service.gather(["good film", "bad"], policy="depth(2)")

    logging.disable(logging.ERROR)
    serving(test, observer=Noisy())
    logging.disable(logging.NOTSET)
    assert seen == [
        ("admitted", 4, 9),
        ("admitted", 3, 3),
        ("stepped", 2, 7, [1, 1], False),
        ("result", 0),
        ("result", 1),
        ("stepped", 2, 7, [2, 2], False),
    ]


def test_under_load_the_point_moves_to_faster_ones_and_results_name_it():
    clock, moves = FakeClock(), []

    class Watching(NullObserver):
        def on_point_change(self, point):
            moves.append(point)

    async def test(service):
        first = await service.gather(["a good film"] * 30)
        assert {item.point for item in first} == {"safe"}
        while not moves:  # the loop may see the queue only at its begin and end, and a move takes two looks
            await service.gather(["a good film"] * 30)
        assert service.info()["operating_point"] == moves[-1]
        second = await service.gather(["a good film"] * 30)
        assert {item.point for item in second} <= set(moves)
        assert service.info()["adaptive"] == ["safe", "balanced", "fast"]
        clock.now += 3600
        await until(lambda: service.info()["operating_point"] == "safe")

    serving(
        test, classifier=troubled_classifier(clock), clock=clock, observer=Watching(), adaptive="fast", step_limit=1e9
    )
    assert moves[0] == "balanced"


def test_a_stopped_service_is_garbage_at_once():
    async def start_and_stop():
        service = Service(troubled_classifier(), Settings(pause=0.001, warm_up=0))
        await service.start()
        await service.gather(["a good film"])
        await service.stop(5)
        return weakref.ref(service)

    async def run():
        for _ in range(10):
            ended = await start_and_stop()
            gc.collect()
            assert ended() is None, "a thread refers to it, so a reload would keep the memory of the replaced model"

    asyncio.run(asyncio.wait_for(run(), 60))


def test_shadow_traffic_is_in_info():
    async def test(service):
        await service.gather(["it was empty", "a good film", "dull"] * 4)
        await until(lambda: service.info()["shadow"]["waiting"] == 0)
        shadow = service.info()["shadow"]
        assert shadow["points"]["safe"]["texts"] == 12
        assert 0 <= shadow["points"]["safe"]["lower"] <= shadow["points"]["safe"]["upper"] <= 1

    serving(test, shadow=1.0)


def test_steps_without_changes_do_not_wake_the_event_loop():
    woken, made = [], []

    class Counting(NullObserver):
        def on_step(self, step):
            made.append(step)

    async def test(service):
        loop = service._loop
        service._loop = SimpleNamespace(
            call_soon_threadsafe=lambda call, *about: (woken.append(call), loop.call_soon_threadsafe(call, *about))
        )
        (item,) = await service.gather(["a good film"], policy="full")
        assert item.prediction.depth == service.classifier.depths

    serving(test, observer=Counting())
    assert len([step for step in made if step.call is not None]) == troubled_classifier().depths, (
        "every step is recorded"
    )
    assert len(woken) == 2, "for its start and its end"
