"""Live streams: the reading thread and the source end with the stream, however it ends."""

import gc
import threading
from itertools import count

import pytest

from elbert.classifier import Classifier
from elbert.errors import InputError
from forked import check_in_child, needs_fork


@pytest.fixture(scope="module")
def classifier(bundle_folder):
    return Classifier.load(bundle_folder, threads=1)


class Feed:
    """A source without an end that waits before every text, as a socket does; it records what happens to it."""

    def __init__(self, *, free=0):
        self.tick = threading.Semaphore(free)
        self.closed = threading.Event()
        self.number = 0
        self.thread = None

    def __iter__(self):
        return self

    def __next__(self):
        self.thread = threading.current_thread()
        self.tick.acquire()
        self.number += 1
        return f"a film {self.number}"

    def close(self):
        self.closed.set()

    def generate(self):
        try:
            yield from iter(self.__next__, None)
        finally:
            self.closed.set()


def consume_and_close(classifier, source):
    stream = classifier.stream(source, live=True)
    next(stream)
    stream.close()


def drop(classifier, source):
    next(classifier.stream(source, live=True))


def drop_in_a_cycle(classifier, source):
    holder = [classifier.stream(source, live=True)]
    holder.append(holder)
    next(holder[0])
    del holder
    gc.collect()


def fail_in_the_consumer(classifier, source):
    with pytest.raises(ZeroDivisionError):
        for _ in classifier.stream(source, live=True):
            raise ZeroDivisionError


def throw(classifier, source):
    stream = classifier.stream(source, live=True)
    next(stream)
    with pytest.raises(KeyboardInterrupt):
        stream.throw(KeyboardInterrupt)


ENDINGS = [consume_and_close, drop, drop_in_a_cycle, fail_in_the_consumer, throw]


@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize("kind", ["iterator", "generator"])
def test_the_thread_ends_at_the_next_text_and_closes_the_source(classifier, end, kind):
    feed = Feed(free=1)
    source = feed if kind == "iterator" else feed.generate()
    end(classifier, source)
    assert not feed.closed.is_set()  # it waits for its next text, and cannot be interrupted
    taken = feed.number
    feed.tick.release(5)
    assert feed.closed.wait(20)
    feed.thread.join(20)
    assert not feed.thread.is_alive()
    assert feed.number <= taken + 2  # the text it waited for; the first may still have been on its way


def test_a_thread_that_waits_for_room_ends(classifier):
    """The source is faster than the consumer: the thread sleeps because it has read enough ahead."""
    feed = Feed(free=100_000)
    stream = classifier.stream(feed, live=True)
    next(stream)
    while feed.number < 2048:
        pass
    stream.close()
    assert feed.closed.wait(20)
    feed.thread.join(20)
    assert not feed.thread.is_alive()


def test_a_stream_that_never_began_has_no_thread(classifier):
    before = threading.active_count()
    feed = Feed()
    classifier.stream(feed, live=True).close()
    assert (threading.active_count(), feed.number, feed.thread) == (before, 0, None)


@pytest.mark.parametrize("error", [OSError("reset"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_every_error_of_the_source_reaches_the_consumer(classifier, error):
    def source():
        yield "a film"
        raise error

    with pytest.raises(type(error)):
        list(classifier.stream(source(), live=True))


def test_a_source_may_wait_for_predictions(classifier):
    texts = [f"a film {i}" for i in range(20)]
    answered = threading.Semaphore(1)

    def source():
        for text in texts:
            assert answered.acquire(timeout=20)
            yield text

    found = []
    for prediction in classifier.stream(source(), live=True):
        found.append(prediction)
        answered.release()
    assert [(p.label, p.depth) for p in found] == [(p.label, p.depth) for p in classifier.predict(texts)]


def test_a_bad_text_ends_the_thread_too(classifier):
    feed, closed = count(), threading.Event()

    def source():
        try:
            for number in feed:
                yield "a film" if number < 3 else number
        finally:
            closed.set()

    found = []
    with pytest.raises(InputError, match="text 3 is int"):
        found.extend(classifier.stream(source(), live=True))
    assert closed.wait(20)


@needs_fork
def test_a_stream_of_the_parent_is_refused_in_a_forked_child(classifier):
    feed = Feed(free=1)
    stream = classifier.stream(feed, live=True)
    next(stream)

    def check():
        with pytest.raises(InputError, match="before the process was forked"):
            next(stream)

    check_in_child(check)
    feed.tick.release(1)
    assert next(stream).label
    stream.close()
    feed.tick.release(1)
    assert feed.closed.wait(20)
