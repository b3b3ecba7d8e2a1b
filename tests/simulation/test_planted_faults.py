"""The simulation finds faults: four that are planted, each within some episodes."""

import pytest
from episodes import SEEDS_OF_FAULTS, find_violation

from elbert.engine.engine import Deadlines
from elbert.engine.scheduler import Scheduler
from elbert.serving.admission import Ticket
from elbert.serving.worker import Worker


def lose_wake_ups(monkeypatch):
    """The worker looks for work before it takes the lock: a request that comes between the two wakes nothing."""

    def sleep(worker):
        if not (worker._is_stopped or worker._commands or worker._engines is None or len(worker._engines)):
            with worker._changed:
                worker._changed.wait()

    monkeypatch.setattr(Worker, "_sleep", sleep)


def free_places_twice(monkeypatch):
    """A row that exits frees its tokens twice, so that more rows start than the engine has places for."""
    release = Scheduler.release

    def release_twice(scheduler, identities):
        tokens = sum(scheduler._live.get(identity, 0) for identity in identities)
        release(scheduler, identities)
        scheduler._live_tokens -= tokens

    monkeypatch.setattr(Scheduler, "release", release_twice)


def release_texts_twice(monkeypatch):
    """A text that has its answer is counted as done twice."""
    release = Ticket.release

    def release_twice(ticket, index):
        release(ticket, index)
        ticket._admission.release(ticket, 0)

    monkeypatch.setattr(Ticket, "release", release_twice)


def ignore_deadlines(monkeypatch):
    """Rows run on to the depth of their policy, however late it is."""
    monkeypatch.setattr(Deadlines, "find_overdue", lambda *_: set())


@pytest.mark.parametrize(
    ("plant", "message", "first"),  # the seed to begin with, which finds it now
    [
        (lose_wake_ups, "wait forever|works for", 8),
        (free_places_twice, "tokens are live|rows stay", 0),
        (release_texts_twice, "texts (are|in progress)", 0),
        (ignore_deadlines, "calls more", 0),
    ],
)
def test_a_planted_fault_is_caught(monkeypatch, plant, message, first):
    plant(monkeypatch)
    seeds = sorted(SEEDS_OF_FAULTS, key=lambda seed: seed != first)
    seed, violation = next(filter(None, map(find_violation, seeds)), (None, None))
    assert seed is not None, "the fault was not found"
    with pytest.raises(AssertionError, match=message):
        raise violation
