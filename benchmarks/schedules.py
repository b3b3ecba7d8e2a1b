"""Which pool of rows goes next, where depths have layers of their own: other answers than the engine's, compared.

The engine's own scheduler is ``now``: the deepest pool that fills a call, or else the fullest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from elbert.engine import Capacity, Scheduler, Sweep

LOADS = (0.7, 0.9)  # of what full calls could serve, where texts arrive
Pick = Callable[[Scheduler, list[Hashable]], Hashable]


def finish(scheduler: Scheduler, ready: list[Hashable]) -> Hashable:
    """The deepest pool that fills a call, or else the deepest."""
    return ([need for need in ready if scheduler._fills(scheduler._pools[need])] or ready)[-1]


# Who goes next of the pools with rows, shallowest first. Who has waited too long goes before, always.
PICKS: dict[str, Pick] = {
    "deepest": lambda scheduler, ready: ready[-1],
    "fullest": lambda scheduler, ready: max(ready, key=lambda need: scheduler._pools[need].tokens),
    "oldest": lambda scheduler, ready: min(ready, key=lambda need: scheduler._pools[need].since),
    "finish": finish,
}


class Scheduled(Scheduler):
    """The engine's scheduler with another answer to which pool goes next."""

    pick: Pick

    def _next_need(self) -> Hashable | None:
        ready = [need for need, pool in self._pools.items() if pool.rows]
        late = [need for need in ready if self._calls - self._pools[need].since >= self.patience]
        return self.pick(self, late or ready) if ready else None


def scheduler(name: str, capacity: Capacity, needs: Sequence[Hashable], refill: float = 0.0) -> Scheduler:
    """The scheduler of that name: ``now`` is the engine's own."""
    if name not in PICKS:
        return Scheduler(capacity, needs, queue=Sweep(), refill=refill)
    other = Scheduled(capacity, needs, queue=Sweep(), refill=refill)
    other.pick = PICKS[name]
    return other


def arriving(
    name: str, capacity: int, needs: str, depths: list[int], load: float, number: int = 4000
) -> dict[str, float]:
    """Texts that arrive at random under a load: rows a call, and how long texts stay, in full calls' time."""
    made, rng, fixed = scheduler(name, Capacity(capacity, capacity), list(needs)), random.Random(0), 8.0
    full_call = fixed + capacity
    gap = full_call / capacity * (sum(depths) / len(depths)) / load
    comes = np.cumsum([rng.expovariate(1 / gap) for _ in range(number)])
    now, entered, depth, stayed, calls = 0.0, 0, {}, [], []
    while len(stayed) < number:
        while entered < number and comes[entered] <= now:
            made.enter(entered, 1)
            entered += 1
        for identity in (started := made.admit()):
            depth[identity] = 0
        made.stand(needs[0], started)
        if (call := made.call()) is None:
            now = comes[entered]
            continue
        now += fixed + len(call[1])
        calls.append(len(call[1]))
        for identity in call[1]:
            depth[identity] += 1
            if depth[identity] == depths[identity % len(depths)]:
                stayed.append(now - comes[identity])
                made.gone([identity])
            else:
                made.stand(needs[depth[identity]], [identity])
    return {
        "rows_a_call": float(np.mean(calls)),
        "mean_stay": float(np.mean(stayed)) / full_call,
        "p99_stay": float(np.percentile(stayed, 99)) / full_call,
    }
