"""A clock that stands still, and a backend on which layer calls take time by it."""

from itertools import cycle


class FakeClock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class SlowBackend:
    """Layer calls of these durations, one after the other, again and again."""

    def __init__(self, backend, clock, durations=(1.0,)):
        self._backend, self._clock, self._durations = backend, clock, cycle(durations)
        self.config, self.device = backend.config, backend.device
        self.calls = 0

    def embed(self, ids, type_ids, layout):
        return self._backend.embed(ids, type_ids, layout)

    def step(self, hidden, layout, group):
        self.calls += 1
        self._clock.now += next(self._durations)
        return self._backend.step(hidden, layout, group)

    def read(self, hidden, layout, head):
        return self._backend.read(hidden, layout, head)
