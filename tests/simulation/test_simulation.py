"""The service keeps its promises in simulated minutes of ordinary and of bad days, and an episode can be replayed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from episodes import SLOW_SEEDS, TEST_SEEDS, find_violation, run_episode
from scenario import Scenario
from virtual_threads import Scheduler, VirtualThread
from world import World

BLOCK = 25  # episodes in a slow test: processes share the work in such parts


@pytest.mark.parametrize("seed", TEST_SEEDS)
def test_promises_are_kept(seed):
    run_episode(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", SLOW_SEEDS[::BLOCK])
def test_promises_are_kept_for_days(first):
    failures = [found for seed in range(first, first + BLOCK) if (found := find_violation(seed)) is not None]
    assert not failures, "\n".join(f"seed {seed}: {violation}" for seed, violation in failures)


def short(seed):
    """A second with few clients and a fault: short enough to be interrupted everywhere."""
    scenario = Scenario.draw(seed, seconds=1.0)
    settings = replace(scenario.settings, shutdown_timeout=0.1)
    return replace(
        scenario, clients=3, think_seconds=0.3, call_seconds=0.02, stalls=0.0, restarts=(), settings=settings
    )


def iterations(seed):
    world = World(short(seed))
    world.run()
    return world.loop.iterations


@pytest.mark.parametrize("event", ["stop_at", "disconnect_at"])
@pytest.mark.parametrize("seed", [2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 11))])
def test_the_service_may_stop_and_clients_may_disconnect_at_every_point(seed, event):
    for iteration in range(1, iterations(seed) + 1):
        try:
            World(short(seed), **{event: iteration}).run()
        except AssertionError as error:
            raise AssertionError(f"{event} iteration {iteration} of seed {seed}: {error}") from error


def test_a_seed_replays_identically():
    one, other = (run_episode(7) for _ in range(2))
    assert one.log == other.log
    assert one.scheduler.switches == other.scheduler.switches
    assert len(one.log) > 100


def test_a_seed_replays_identically_in_another_process():
    here = run_episode(2)
    script = Path(__file__).parent / "episodes.py"
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, str(script), "2"], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines()[1:] == here.log


class BusyTurn:
    """A turn that does not come in ``waits`` of the times in which some turn must end; others may have turns then."""

    def __init__(self, scheduler, waits, others):
        self.scheduler, self.waits, self.others = scheduler, waits, others

    def acquire(self, timeout):
        self.waits -= 1
        self.scheduler.turns += self.others
        return self.waits < 0


def test_a_thread_waits_for_its_turn_as_long_as_others_have_turns():
    """Episodes failed on a machine so busy that they took minutes."""
    scheduler = Scheduler(0)
    thread = VirtualThread(scheduler, "tokenizer", None)
    thread._turn = BusyTurn(scheduler, waits=5, others=1)
    thread.await_turn()
    thread._turn = BusyTurn(scheduler, waits=5, others=0)
    with pytest.raises(RuntimeError, match="tokenizer got no turn"):
        thread.await_turn()
