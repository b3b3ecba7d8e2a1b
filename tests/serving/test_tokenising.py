"""Tokenising off the event loop: hand-overs are shared, failures are not."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from troubled import troubled_classifier

from elbert.errors import InputError
from elbert.serving.errors import NotReady, Overloaded, TokenizerFailure
from elbert.serving.runtime import Runtime
from elbert.serving.tokenizer_pool import SHARED_CHARACTERS, TokenizerPool


class Watched:
    """A tokeniser that remembers its threads and its calls, and fails on demand."""

    def __init__(self):
        self.own = troubled_classifier().tokeniser
        self.max_length = self.own.max_length
        self.threads, self.seen, self.go = set(), [], threading.Event()
        self.go.set()
        self.begun = threading.Event()

    def encode_each(self, texts, *direction):
        self.begun.set()
        self.go.wait(10)
        self.threads.add(threading.get_ident())
        self.seen.append(list(texts))
        if "panic" in texts:
            raise RuntimeError("a panic")
        return self.own.encode_each(texts, *direction)


def counting(tokenizers):
    """The numbers of requests that go to a thread together."""
    sizes, hand_over = [], tokenizers._run_all

    def counted(jobs):
        sizes.append(len(jobs))
        return hand_over(jobs)

    tokenizers._run_all = counted
    return sizes


async def together(tokenizers, *requests):
    tasks = [tokenizers.tokenize(texts, truncate=True, direction="right") for texts in requests]
    return await asyncio.gather(*tasks, return_exceptions=True)


def run(test, workers=2, runtime=None):
    async def all_of_it():
        tokeniser = Watched()
        tokenizers = TokenizerPool(tokeniser, workers, runtime)
        try:
            await test(tokenizers, tokeniser)
        finally:
            tokeniser.go.set()
            tokenizers.close()

    asyncio.run(asyncio.wait_for(all_of_it(), 30))


def test_concurrent_requests_share_one_hand_over_and_get_their_own_tokens():
    async def test(tokenizers, tokeniser):
        sizes = counting(tokenizers)
        requests = [["good"], ["a bad film", ("good", "bad")], ["dull"] * 3]
        found = await together(tokenizers, *requests)
        assert found == [tokeniser.own.encode(texts) for texts in requests]
        assert sizes == [3]
        assert threading.get_ident() not in tokeniser.threads
        assert await together(tokenizers, ["good"]) == found[:1]
        assert sizes == [3, 1]

    run(test)


def test_a_failure_affects_only_its_request():
    async def test(tokenizers, tokeniser):
        good, panic, bad = await together(tokenizers, ["good"], ["fine", "panic"], ["bad"])
        assert (good, bad) == (tokeniser.own.encode(["good"]), tokeniser.own.encode(["bad"]))
        assert isinstance(panic, TokenizerFailure)

    run(test)


def test_a_text_that_the_tokenizer_fails_on_affects_no_other(monkeypatch):
    class Fragile:
        """A tokenizer of the library that panics on one text."""

        def __init__(self, own):
            self.own = own

        def encode_batch_fast(self, texts):
            if any("panic" in text for text in texts):
                raise SystemError("a panic\nat line 7")
            return self.own.encode_batch_fast(texts)

        encode_batch = encode_batch_fast

    async def test(tokenizers, tokeniser):
        encoder = tokeniser.own._encoder
        fragile = Fragile(encoder._tokenizer)
        monkeypatch.setattr(encoder, "_tokenizer", fragile)
        monkeypatch.setattr(encoder, "_encode_whole", fragile.encode_batch_fast)
        found = await tokenizers.tokenize(["good", "panic!", 3, "bad"], truncate=True, direction="right")
        assert [found[0], found[3]] == tokeniser.own.encode(["good", "bad"])
        assert isinstance(found[1], TokenizerFailure)
        assert str(found[1]) == "text 1: the tokenizer fails on it (SystemError: a panic)"
        assert isinstance(found[2], InputError)

    run(test)


def test_a_long_request_is_handed_over_alone():
    async def test(tokenizers, tokeniser):
        sizes = counting(tokenizers)
        await together(
            tokenizers, ["good"], ["x" * (SHARED_CHARACTERS + 1)], [("a", "b" * SHARED_CHARACTERS), 3], ["bad"]
        )
        assert sorted(sizes) == [1, 1, 2]

    run(test)


def test_a_disconnected_client_affects_no_other():
    async def test(tokenizers, tokeniser):
        tokeniser.go.clear()
        disconnected = asyncio.create_task(tokenizers.tokenize(["gone"], truncate=True, direction="right"))
        other = asyncio.create_task(tokenizers.tokenize(["good"], truncate=True, direction="right"))
        await asyncio.sleep(0.01)
        disconnected.cancel()
        tokeniser.go.set()
        assert await other == tokeniser.own.encode(["good"])
        with pytest.raises(asyncio.CancelledError):
            await disconnected

    run(test)


def test_closing_rejects_waiting_requests_whose_clients_are_still_there():
    async def test(tokenizers, tokeniser):
        tokeniser.go.clear()
        first = asyncio.create_task(tokenizers.tokenize(["good"], truncate=True, direction="right"))
        await asyncio.sleep(0.01)
        waits = asyncio.create_task(tokenizers.tokenize(["bad"], truncate=True, direction="right"))
        await asyncio.sleep(0.01)
        tokenizers.close()
        with pytest.raises(NotReady):
            await waits
        with pytest.raises(NotReady):
            await tokenizers.tokenize(["late"], truncate=True, direction="right")
        tokeniser.go.set()
        assert await first == tokeniser.own.encode(["good"])

    run(test, workers=1)


async def occupy(tokenizers, tokeniser):
    """A request with which the only thread has begun."""
    first = asyncio.create_task(together(tokenizers, ["first"]))
    while not tokeniser.begun.is_set():
        await asyncio.sleep(0.001)
    return first


class ShortOfMemory(ThreadPoolExecutor):
    """A pool that starts ``most`` threads; for others the system has no memory."""

    most = 1

    def _adjust_thread_count(self):  # called when the call is queued already
        if len(self._threads) >= self.most:
            raise RuntimeError("can't start new thread")
        super()._adjust_thread_count()


class ShortRuntime(Runtime):
    def create_executor(self, workers, name):
        return ShortOfMemory(workers, name)


def test_a_thread_that_cannot_be_started_costs_no_answer_of_others():
    """A later request got no answer at all: the call that was queued before the failure took its texts."""

    async def test(tokenizers, tokeniser):
        tokenizers._threads.most = 0
        assert [type(error) for error in await together(tokenizers, ["a"], ["b"])] == [Overloaded] * 2
        tokenizers._threads.most = 1
        (one,) = await together(tokenizers, ["good film"])
        tokeniser.go.clear()
        tokeniser.begun.clear()
        tasks = []
        for text in ("good", "bad", "dull"):
            tasks.append(asyncio.create_task(tokenizers.tokenize([text], truncate=True, direction="right")))
            while not tokeniser.begun.is_set():
                await asyncio.sleep(0.001)
        tokeniser.go.set()
        found = await asyncio.wait_for(asyncio.gather(*tasks), 20)
        assert [one, *found] == [[row] for row in tokeniser.own.encode(["good film", "good", "bad", "dull"])]

    run(test, runtime=ShortRuntime())


def test_a_short_request_does_not_wait_for_long_ones_that_came_just_before():
    long = ["good film " * 200_000]

    async def test(tokenizers, tokeniser):
        tokeniser.go.clear()
        first = await occupy(tokenizers, tokeniser)
        heavy = asyncio.create_task(together(tokenizers, long, long, long))
        await asyncio.sleep(0.01)
        light = asyncio.create_task(together(tokenizers, ["light"]))
        await asyncio.sleep(0.01)
        tokeniser.go.set()
        assert [len(found) for found in await asyncio.gather(first, heavy, light)] == [1, 3, 1]
        assert tokeniser.seen == [["first"], ["light"], long, long, long]

    run(test, workers=1)


def test_long_requests_are_overtaken_for_the_time_that_they_take_and_no_longer():
    async def test(tokenizers, tokeniser):
        tokeniser.go.clear()
        first = await occupy(tokenizers, tokeniser)
        long = asyncio.create_task(together(tokenizers, ["good " * 2000]))  # 10 ms
        await asyncio.sleep(0.05)
        light = asyncio.create_task(together(tokenizers, ["light"]))
        await asyncio.sleep(0.01)
        tokeniser.go.set()
        await asyncio.gather(first, long, light)
        assert tokeniser.seen == [["first"], ["good " * 2000], ["light"]]

    run(test, workers=1)


def test_texts_of_a_client_that_disconnected_are_not_tokenized():
    async def test(tokenizers, tokeniser):
        tokeniser.go.clear()
        first = await occupy(tokenizers, tokeniser)
        cancelled = asyncio.create_task(tokenizers.tokenize(["cancelled"], truncate=True, direction=None))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        await asyncio.sleep(0.01)
        tokeniser.go.set()
        await first
        await together(tokenizers, ["last"])
        assert tokeniser.seen == [["first"], ["last"]]

    run(test, workers=1)
