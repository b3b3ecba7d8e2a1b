"""The worker: faults, rebuilding, sleeping without delay, stopping; with its thread and without."""

import logging
import threading
import time

import pytest
from troubled import FakeClock, Parts, reference, troubled_classifier

from elbert.engine import Capacity, Request
from elbert.exits import policy
from elbert.serving.errors import BackendFailure, NotReady
from elbert.serving.worker import Engines, Worker

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


class Bench:
    """A worker with its thread, its results, and waits with a time-out: a fault must not hang the test."""

    def __init__(self, **options):
        self.classifier = troubled_classifier()
        self.backend = self.classifier.backend
        self.answered, self.failed, self.reported = {}, {}, threading.Condition()
        self.broken_builds = 0
        self.worker = Worker(self.build, self.on_step, pause=0.001, **options)

    def build(self):
        if self.broken_builds:
            self.broken_builds -= 1
            raise MemoryError("no memory for an engine")
        (harmless,) = self.classifier.tokeniser.encode(["a"])
        return Engines(self.backend, Capacity(4, 120), harmless, time.monotonic)

    def on_step(self, step):
        with self.reported:
            for exits in step.result.exits:
                for i in exits.identity.tolist():
                    assert i not in self.answered
                    self.answered[i] = threading.current_thread().name
            self.failed.update({failure.identity: failure.error for failure in step.result.failures})
            self.reported.notify_all()

    def ask(self, *identities, spec="depth(2)"):
        tokens, _ = reference()
        self.worker.submit([Request(i, tokens[i % len(tokens)], policy(spec)) for i in identities])

    def until(self, condition, what):
        until = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < until, what
            time.sleep(0.001)

    def done(self, *identities):
        self.until(lambda: set(identities) <= self.answered.keys() | self.failed.keys(), f"no word of {identities}")


@pytest.fixture
def bench():
    made = []

    def make(**options):
        made.append(Bench(**options))
        return made[-1]

    logging.disable(logging.ERROR)
    yield make
    for one in made:
        one.backend.before_step = None
        one.worker.stop(20)
    logging.disable(logging.NOTSET)


def test_the_worker_runs_on_its_own_thread_and_sleeps_without_work(bench):
    one = bench()
    with pytest.raises(NotReady):
        one.ask(0)
    one.worker.start()
    one.until(lambda: one.worker.is_ready, "it does not start")
    one.ask(0, 1, 2)
    one.done(0, 1, 2)
    assert set(one.answered.values()) == {"elbert-engine"}
    calls, turns = one.backend.calls, []
    one.worker._sleep, slept = lambda: (turns.append(1), slept()), one.worker._sleep
    time.sleep(0.05)
    assert one.backend.calls == calls  # nothing to do, nothing done
    assert len(turns) <= 1  # and not done again and again: a thread that turns for nothing takes a core from the rest
    one.ask(3)
    one.done(3)


def test_a_step_that_raises_fails_its_rows_and_later_ones_run(bench):
    one = bench()
    one.worker.start()
    one.until(lambda: one.worker.is_ready, "it does not start")
    one.backend.failing = 1
    one.ask(0)
    one.done(0)
    assert str(one.failed[0]) == "the layer fell over"
    one.ask(1)
    one.done(1)
    assert 1 in one.answered


def test_a_broken_engine_fails_its_requests_and_is_rebuilt(bench):
    one = bench()
    one.worker.start()
    one.until(lambda: one.worker.is_ready, "it does not start")
    engines = one.worker._engines

    def broken():
        raise ValueError("inconsistent books")

    for engine in engines.all:
        engine.step = broken
    one.ask(0, 1)
    one.done(0, 1)
    assert isinstance(one.failed[0], BackendFailure)
    assert "inconsistent" not in str(one.failed[0])  # the log's business, not the caller's
    one.until(lambda: one.worker.is_ready, "it does not recover")
    assert one.worker._engines is not engines
    one.ask(2)
    one.done(2)
    assert one.answered.keys() == {2}


def test_a_dead_backend_is_noticed_though_every_failure_is_caught(bench):
    one = bench()
    one.worker.start()
    one.until(lambda: one.worker.is_ready, "it does not start")
    one.backend.failing = 10**6
    one.ask(0)
    one.done(0)
    one.until(lambda: not one.worker.is_healthy, "a dead backend passes for healthy")
    assert not one.worker.is_ready
    with pytest.raises(NotReady, match="has failed"):
        one.ask(1)


def test_a_rebuilding_worker_is_healthy_and_not_ready():
    parts = Parts()
    parts.run_once()
    assert parts.worker.is_ready
    build, seen = parts.worker._build, []

    def watched():
        seen.append((parts.worker.is_ready, parts.worker.is_healthy))
        if len(seen) < 3:
            raise MemoryError("not yet")
        return build()

    parts.worker._build = watched
    got = []
    parts.submit([0], got.append)
    for engine in parts.worker._engines.all:
        engine.step = lambda: 1 / 0
    logging.disable(logging.ERROR)
    parts.run_once()
    assert isinstance(got[0].error, BackendFailure)
    assert not parts.worker.is_ready
    parts.run_once()
    logging.disable(logging.NOTSET)
    assert seen == [(False, True)] * 3
    assert parts.worker.is_ready
    parts.submit([0], got.append)
    while len(parts.dispatcher):
        parts.run_once()
    assert got[1].prediction is not None


def test_the_worker_fails_for_good_after_several_failures_in_a_row(bench):
    one = bench(most_failures=3)
    one.broken_builds = 3
    one.worker.start()
    one.until(lambda: not one.worker.is_healthy, "it tries for ever")
    assert one.broken_builds == 0
    other = bench(most_failures=3)
    other.broken_builds = 2
    other.worker.start()
    other.until(lambda: other.worker.is_ready, "it gave up too early")
    assert other.worker.is_healthy


def test_a_killed_thread_leaves_no_client_waiting(bench):
    one = bench()
    one.worker.start()
    one.until(lambda: one.worker.is_ready, "it does not start")

    def killed():
        one.backend.before_step = None
        raise SystemExit("killed")

    one.backend.before_step = killed
    one.ask(0, 1, 2, 3, 4, 5)
    one.done(0, 1, 2, 3, 4, 5)
    assert one.failed.keys() == set(range(6))
    one.until(lambda: one.worker.is_ready, "it does not recover")
    one.ask(6)
    one.done(6)


def looks_at(worker, clock, seconds, every=0.5):
    """Whether the worker is healthy at each of the looks that are made in this time."""
    found = []
    for _ in range(round(seconds / every)):
        clock.now += every
        found.append(worker.is_healthy)
    return found


@pytest.mark.parametrize("limit", [0.2, 2, 60])
def test_a_stuck_step_is_unhealthy(limit):
    clock = FakeClock()
    worker = Worker(lambda: None, lambda step: None, step_limit=limit, clock=clock)
    every = min(0.5, limit / 4)
    assert all(looks_at(worker, clock, 2 * limit, every))
    worker._watch.begin()
    assert all(looks_at(worker, clock, 0.9 * limit, every))
    assert not all(looks_at(worker, clock, 0.5 * limit, every))
    assert not worker.is_ready
    worker._watch.end()  # it was only slow
    assert worker.is_healthy
    worker._watch.begin()
    assert all(looks_at(worker, clock, 0.9 * limit, every)), "time of another step counts"


@pytest.mark.parametrize("pauses", [1, 2, 20])
@pytest.mark.parametrize("pause", [70, 3600, 10**7])
def test_a_process_that_was_paused_does_not_take_its_step_for_stuck(pause, pauses):
    clock = FakeClock()
    worker = Worker(lambda: None, lambda step: None, step_limit=60, clock=clock)
    worker._watch.begin()
    for _ in range(pauses):  # SIGSTOP and SIGCONT, or a frozen virtual machine
        clock.now += pause
        assert worker.is_healthy
        assert all(looks_at(worker, clock, 1))
    assert not all(looks_at(worker, clock, 61)), "a step that is stuck all the same is found"


def test_a_slow_step_fails_no_request(bench):
    one = bench()
    one.worker.start()
    one.until(lambda: one.worker.is_ready, "it does not start")
    one.backend.before_step = lambda: time.sleep(0.02)
    one.ask(*range(10))
    one.done(*range(10))
    assert not one.failed


def test_requests_that_remain_at_the_stop_get_an_error(bench):
    one = bench()
    one.worker.start()
    one.until(lambda: one.worker.is_ready, "it does not start")
    going = threading.Event()

    def hold():
        going.set()
        time.sleep(0.02)

    one.backend.before_step = hold
    one.ask(*range(12), spec="full")
    going.wait(20)
    one.worker.stop(20)
    assert one.failed.keys() | one.answered.keys() == set(range(12))
    assert all(isinstance(error, NotReady) for error in one.failed.values())
    with pytest.raises(NotReady):
        one.ask(99)


def test_submitting_from_many_threads_loses_nothing(bench):
    one = bench()
    one.worker.start()
    one.until(lambda: one.worker.is_ready, "it does not start")
    threads = [
        threading.Thread(target=lambda k=k: [one.ask(100 * k + i, spec="entropy(0.6)") for i in range(40)])
        for k in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everybody = [100 * k + i for k in range(5) for i in range(40)]
    one.done(*everybody)
    assert sorted(one.answered) == everybody
    assert one.worker._unreported == set()
