"""Faults that the simulation has found, each with the course of events that led to it."""

import asyncio
from dataclasses import replace

import pytest
from scenario import Scenario, Trouble
from world import World

from elbert.serving.errors import NotReady, Overloaded


def scenario(**changes):
    """An hour's quiet seconds: one client that rarely sends anything, no chance in the scheduler."""
    drawn = Scenario.draw(0, seconds=2.0)
    settings = replace(drawn.settings, **changes.pop("settings", {}))
    fixed = {
        "clients": 1,
        "think_seconds": 0.2,
        "call_seconds": 0.02,
        "max_rows": 8,
        "troubles": (),
        "restarts": (),
        "stalls": 0.0,
        "tick": 0.0,
        "grid": 0.0,
        "watches_lines": False,
    }
    return replace(drawn, settings=settings, **(fixed | changes))


class Scripted(World):
    """A world whose clients do what a test says instead of what they draw."""

    def __init__(self, script, **changes):
        super().__init__(scenario(**changes))
        self._script = script

    async def _client(self, number):
        await self._script(self)


def test_a_stop_during_the_start_ends_the_start():
    async def script(world):
        service, _ = world.services[0]
        await world.stop(0)
        with pytest.raises(NotReady):
            await service.classify(["10"])

    World(scenario(), stop_at=2).run()
    Scripted(script).run()


def test_a_request_whose_tokenization_has_not_begun_at_the_stop_is_answered():
    """It was cancelled, as if its client had disconnected, and its client got nothing."""
    slow = (Trouble("tokenizer slow", 0.1, 2.0, 1.0),)

    async def script(world):
        service, _ = world.services[0]
        await asyncio.sleep(0.2)  # the service is ready, and the tokenizer is slow
        tasks = []
        for _ in range(3):
            tasks.append(asyncio.create_task(service.gather(["10"])))
            await asyncio.sleep(0.01)
        await world.stop(0)
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, NotReady), result

    Scripted(script, troubles=slow, settings={"shutdown_timeout": 0.0, "tokenization_workers": 1}).run()


def test_a_deadline_that_passes_during_tokenization_is_answered_then():
    """The request waited for its tokens, however long that took."""
    slow = (Trouble("tokenizer slow", 0.1, 2.0, 100.0),)

    async def script(world):
        service, _ = world.services[0]
        await asyncio.sleep(0.2)  # the service is ready, and the tokenizer is slow
        sent = world.now
        with pytest.raises(Overloaded, match="deadline passed"):
            await service.gather(["10"], deadline_ms=300)
        assert world.now == pytest.approx(sent + 0.3)

    Scripted(script, troubles=slow).run()


def test_a_pause_of_the_thread_does_not_move_a_deadline():
    """The time until the deadline was taken before the pause, and its timer was started with it after the pause."""
    slow = (Trouble("tokenizer slow", 0.1, 2.0, 100.0),)

    async def script(world):
        service, _ = world.services[0]
        await asyncio.sleep(0.2)  # the service is ready, and the tokenizer is slow
        clock = service._pipeline._clock

        def read_and_pause():
            now = clock()
            world.scheduler.wait(lambda: False, 0.1)
            return now

        service._pipeline._clock = read_and_pause
        sent = world.now
        with pytest.raises(Overloaded, match="deadline passed"):
            await service.gather(["10"], deadline_ms=500)
        assert world.now == pytest.approx(sent + 0.5)

    Scripted(script, troubles=slow).run()


def test_a_text_of_the_shadow_in_a_long_step_does_not_outlive_the_stop():
    """The worker's thread was in this step when the service stopped, and nothing dropped the text."""

    async def script(world):
        service, _ = world.services[0]
        await asyncio.sleep(0.9)  # the service is ready
        (result,) = await service.gather(["10"], policy="fast")
        assert result.prediction.depth < result.prediction.depths
        await asyncio.sleep(0.2)
        assert len(service._shadow._waiting) == 1
        await world.stop(0)
        assert not service._shadow._waiting

    settings = {"shadow": 1.0, "shutdown_timeout": 0.0}
    Scripted(script, troubles=(Trouble("stuck", 1.0, 2.0, 20.0),), settings=settings).run()
