"""Which pool of rows goes next, where depths have layers of their own: other answers than the engine's, compared.

The engine's own scheduler is ``now``: the deepest pool that fills a call, or else the fullest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from itertools import accumulate

from elbert.engine import Capacity, Scheduler, SweepQueue
from simulator import Line, Replica, Text, serve

LOADS = (0.7, 0.9)  # of what full calls could serve, where texts arrive
Pick = Callable[[Scheduler, list[Hashable]], Hashable]


def finish(scheduler: Scheduler, ready: list[Hashable]) -> Hashable:
    """The deepest pool that fills a call, or else the deepest."""
    return ([weights_key for weights_key in ready if scheduler._fills_call(scheduler._pools[weights_key])] or ready)[-1]


# Which pool with rows goes next, shallowest first. A pool that has waited too long always goes before.
PICKS: dict[str, Pick] = {
    "deepest": lambda scheduler, ready: ready[-1],
    "fullest": lambda scheduler, ready: max(ready, key=lambda weights_key: scheduler._pools[weights_key].tokens),
    "oldest": lambda scheduler, ready: min(ready, key=lambda weights_key: scheduler._pools[weights_key].since),
    "finish": finish,
}


class Scheduled(Scheduler):
    """The engine's scheduler with another answer to which pool goes next."""

    pick: Pick

    def _next_weights(self) -> Hashable | None:
        ready = [weights_key for weights_key, pool in self._pools.items() if pool.rows]
        late = [
            weights_key for weights_key in ready if self._calls - self._pools[weights_key].since >= self.max_wait_calls
        ]
        return self.pick(self, late or ready) if ready else None


def scheduler(name: str, capacity: Capacity, weights_keys: Sequence[Hashable], refill: float = 0.0) -> Scheduler:
    """The scheduler of that name: ``now`` is the engine's own."""
    if name not in PICKS:
        return Scheduler(capacity, weights_keys, queue=SweepQueue(), refill=refill)
    other = Scheduled(capacity, weights_keys, queue=SweepQueue(), refill=refill)
    other.pick = PICKS[name]
    return other


def arriving(
    name: str, capacity: int, weights_keys: str, depths: list[int], load: float, number: int = 4000
) -> dict[str, float]:
    """Texts that arrive at random under a load: rows a call, and how long texts stay, in full calls' time."""
    most, rng, clock = Capacity(capacity, capacity), random.Random(0), Line(8.0, 1.0)
    full_call = clock.a + clock.b * capacity
    gap = full_call / capacity * (sum(depths) / len(depths)) / load
    comes = list(accumulate(rng.expovariate(1 / gap) for _ in range(number)))
    texts = [Text(1, depths[identity % len(depths)]) for identity in range(number)]
    served = serve(texts, comes, [Replica(most, clock, weights_keys, scheduler=scheduler(name, most, weights_keys))])
    return {
        "rows_a_call": served.rows_a_call,
        "mean_stay": float(served.stay.mean()) / full_call,
        "p99_stay": served.latency(99) / full_call,
    }
