"""Warming up meets every size of layer call, within its time."""

import asyncio
import gc

import pytest
from troubled import FakeClock, troubled_classifier

from elbert.model.layout import round_up
from elbert.serving.service import Service
from elbert.serving.settings import Settings
from elbert.serving.warmup import freeze_objects, warm_up


@pytest.fixture
def met(monkeypatch):
    """A classifier, and the sizes of the layer calls and heads that it has met."""
    classifier, steps, heads = troubled_classifier(), [], []
    step, read = type(classifier.backend).step, type(classifier.backend).read

    def step_and_count(self, hidden, layout, group):
        steps.append(len(hidden))
        return step(self, hidden, layout, group)

    def read_and_count(self, hidden, layout, head):
        heads.append(len(layout))
        return read(self, hidden, layout, head)

    monkeypatch.setattr(type(classifier.backend), "step", step_and_count)
    monkeypatch.setattr(type(classifier.backend), "read", read_and_count)
    return classifier, steps, heads


def test_every_size_is_computed_the_smallest_first(met):
    classifier, steps, heads = met
    sizes = sorted({round_up(n) for n in range(1, classifier.capacity.tokens + 1)})
    assert warm_up(classifier, 1e6) == len(sizes)
    assert steps == sizes
    assert len(heads) == len(sizes)
    assert max(heads) >= min(classifier.capacity.rows, 100)


def test_warm_up_stops_at_its_time_limit(met):
    classifier, steps, _ = met
    clock = FakeClock()

    def a_second_goes_by():
        clock.now += 1

    classifier.backend.before_step = a_second_goes_by
    assert warm_up(classifier, 3.0, clock) == len(steps) == 3
    assert warm_up(classifier, 0.0, clock) == 0


@pytest.mark.parametrize(("seconds", "least"), [(1e6, 60), (0.0, 0)])
def test_a_service_is_not_ready_before_it_is_warm(met, seconds, least):
    classifier, steps, _ = met

    async def run():
        service = Service(classifier, Settings(warm_up=seconds))
        starting = asyncio.create_task(service.start())
        while not starting.done():
            assert not service.is_ready
            await asyncio.sleep(0)
        await starting
        assert service.is_ready
        assert len(set(steps)) >= least
        assert least or len(steps) == 1  # the text on which the engine is tried
        assert [item.error for item in await service.gather(["a film"])] == [None]
        await service.stop(5)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_present_objects_are_excluded_from_collection():
    before = gc.get_freeze_count()
    try:
        freeze_objects()
        assert gc.get_freeze_count() > before + 1000
        assert len(gc.get_objects()) < 1000
    finally:
        gc.unfreeze()
