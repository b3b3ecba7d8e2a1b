"""The highest rate that keeps a limit is found where it is, with enough answers behind it."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # benchmarks are scripts: their folder is their root

from serving_peers.limits import STEP, WARM_UP, Sample, guess_rate, highest_rates, sample  # noqa: E402
from serving_peers.openloop import poisson  # noqa: E402

SERVICE = 0.01  # seconds of a request: 100 a second are the capacity


class Queue:
    """One server, one request at a time, each of the same length; the load does not wait for it."""

    def __init__(self, lost=0.0):
        self.calls = []
        self._lost = lost

    def __call__(self, rate, seconds, seed):
        self.calls.append(rate)
        free, answers, draw = 0.0, [], random.Random(seed)
        for due in poisson(rate, seconds, seed):
            free = max(free, due) + SERVICE
            answers.append((due, due, free, 503 if draw.random() < self._lost else 200))
        return answers


@pytest.mark.parametrize("guess", [5.0, 60.0, 90.0, 300.0])
def test_the_highest_rate_is_found_from_any_guess(guess):
    queue = Queue()
    found = highest_rates(queue, guess, 3000, (30.0, 100.0))
    for limit, (least, most) in {30.0: (20, 60), 100.0: (60, 100)}.items():
        kept, missed = found[limit]["keeps"], found[limit]["misses"]
        assert least < kept["rate"] < most
        assert kept["answers"] >= 3000
        assert kept["p99_ms"] <= limit < missed["p99_ms"]
        assert missed["rate"] == pytest.approx(STEP * kept["rate"])


def test_a_limit_that_nothing_keeps_and_one_that_everything_keeps():
    found = highest_rates(Queue(), 0.5, 100, (5.0,))
    assert found[5.0]["keeps"] is None
    found = highest_rates(
        lambda rate, seconds, seed: [(due, due, due, 200) for due in poisson(5, seconds, seed)], 50, 9
    )
    assert all(at["misses"] is None for at in found.values())


def test_a_rate_that_misses_for_certain_ends_early():
    queue = Queue()
    found = sample(queue, 1000.0, 20_000, (100.0,))
    assert found.answers < 20_000
    assert not found.keeps(100.0)


def test_refused_and_lost_requests_are_beyond_every_limit():
    found = sample(Queue(lost=0.05), 10.0, 2000)
    assert 0.02 < found.failed / found.answers < 0.08
    assert not found.keeps(1e9)


def test_the_beginning_of_a_slice_does_not_count():
    found = Sample(10.0)
    found.add([(WARM_UP / 2, 0.0, 9.0, 200), (WARM_UP, 1.0, 1.5, 200)])
    assert found.latencies == [500.0]


@pytest.mark.parametrize(("sustained", "guess"), [(80.0, 80.0), (0.0, 50.0), (float("inf"), 50.0)])
def test_where_the_search_begins(sustained, guess):
    assert guess_rate(sustained, 100.0) == guess
