"""The scheduler: who starts, and who takes the next layer call. It holds no tensor.

A row waits in a queue, then stands ready in the pool of the weights that it needs next, takes a call, and is back
in a pool or gone. ALBERT's depths share one layer, so there is one pool, and every call takes all of it: rows at
different depths side by side, and a place that one leaves is filled at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from elbert.engine.queues import NEVER, Arrival, Queue


@dataclass(frozen=True)
class Capacity:
    """The most that may share one layer call. A row of more than ``tokens`` goes alone: it must go some time."""

    rows: int
    tokens: int


@dataclass
class Pool:
    """Rows that are ready for the same weights, those that have waited longest first."""

    rows: deque[int] = field(default_factory=deque)
    tokens: int = 0
    since: int = 0  # the call at which its first row came, or it was last served
    hurried: bool = False  # whether its first rows must have the next call


class Scheduler:
    """Queue, pools, capacity. ``needs[d]`` names the weights that take a row from depth d to d + 1.

    ``lanes`` is how many calls may be under way at once. Where there are several needs, live rows may fill a call of
    each: a pool is served when it can fill one, deepest first, since that finishes rows; the fullest where none can;
    and before all others one that has waited for ``patience`` calls, so that nothing starves.

    ``refill`` is the share of places that must be free before new rows start. With 0 every place is filled at once, as
    requests want it; where nobody waits for a single row, a call with an eighth fewer rows costs an eighth less, and
    the cost of admitting, which hardly depends on how many come, is paid less often.
    """

    def __init__(
        self,
        capacity: Capacity,
        needs: Sequence[Hashable],
        *,
        queue: Queue | None = None,
        lanes: int = 1,
        refill: float = 0.0,
    ) -> None:
        self._capacity = capacity
        self._refill = refill
        self._pools = {need: Pool() for need in needs}
        self._start = self._pools[needs[0]]
        self._queue: Queue = Arrival() if queue is None else queue
        self._live: dict[int, int] = {}  # tokens of each row that has started
        self._live_tokens = 0
        self._most_calls = max(lanes, len(self._pools))
        self._calls = 0
        self.patience = 4 * len(self._pools)

    @property
    def waiting(self) -> int:
        """How many rows have not started."""
        return len(self._queue)

    @property
    def live(self) -> int:
        """How many rows have started and not left."""
        return len(self._live)

    @property
    def can_call(self) -> bool:
        """Whether a call could be made now, with rows that stand ready or may start."""
        return any(pool.rows for pool in self._pools.values()) or (
            len(self._queue) > 0 and self._has_room_for(self._queue.first()[1], 0, 0)
        )

    def enter(self, identity: int, length: int, due: float = NEVER) -> None:
        """A row of ``length`` tokens waits to start."""
        self._queue.put(identity, length, due)

    def admit(self, hurried: Sequence[tuple[int, int]] = ()) -> list[int]:
        """The rows that start now; they take their place in a pool with :meth:`stand`.

        Those who are ``hurried``, ``(identity, length)``, start even where there is no room for them, up to a call of
        them at once.
        """
        started, tokens = list[int](), 0
        for identity, length in hurried:
            if not self._fits(len(started), tokens, length):
                break
            started.append(identity)
            tokens += length
        if started:
            self._queue.drop(set(started))
            self._live.update(hurried[: len(started)])
            self._live_tokens += tokens
        while len(self._queue) and self._has_room_for(self._queue.first()[1], len(started), tokens):
            identity, length = self._queue.take()
            self._live[identity] = length
            self._live_tokens += length
            tokens += length
            started.append(identity)
        return started

    def stand(self, need: Hashable, identities: Sequence[int], *, hurried: bool = False) -> None:
        """Rows stand ready for the weights that they need; hurried ones stand before all others."""
        pool = self._pools[need]
        if not pool.rows:
            pool.since = self._calls
        if hurried:
            pool.hurried = True
            pool.rows.extendleft(reversed(identities))
        else:
            pool.rows.extend(identities)
        pool.tokens += sum(map(self._live.__getitem__, identities))

    def call(self) -> tuple[Hashable, list[int]] | None:
        """The weights that run next and the rows that take them, in their order in the pool; None if none is ready."""
        need = self._next_need()
        if need is None:
            return None
        pool = self._pools[need]
        taken = self._all_of(pool) if self._fits_whole(pool) else self._some_of(pool)
        self._calls += 1
        pool.since = self._calls
        pool.hurried = False
        return need, taken

    def withdraw(self, identities: Collection[int]) -> None:
        """These rows wait no longer and stand ready no longer; who had started keeps its place until it is gone."""
        self._queue.drop(identities)
        for pool in self._pools.values():
            pool.rows = deque(identity for identity in pool.rows if identity not in identities)
            pool.tokens = sum(map(self._live.__getitem__, pool.rows))

    def gone(self, left: Iterable[int]) -> None:
        """Rows that stand in no pool have left; their places, if they had started, are free."""
        for identity in left:
            self._live_tokens -= self._live.pop(identity, 0)

    def _fits_whole(self, pool: Pool) -> bool:
        return len(pool.rows) <= self._capacity.rows and pool.tokens <= self._capacity.tokens

    def _all_of(self, pool: Pool) -> list[int]:
        taken = list(pool.rows)
        pool.rows.clear()
        pool.tokens = 0
        return taken

    def _some_of(self, pool: Pool) -> list[int]:
        taken, tokens = list[int](), 0
        while pool.rows and self._fits(len(taken), tokens, self._live[pool.rows[0]]):
            taken.append(pool.rows.popleft())
            tokens += self._live[taken[-1]]
        pool.tokens -= tokens
        return taken

    def _has_room_for(self, length: int, rows: int, tokens: int) -> bool:
        if not self._live:
            return True
        most, capacity = self._most_calls, self._capacity
        if not rows and self._live_share() > 1 - self._refill:
            return False
        return (
            len(self._live) < capacity.rows * most
            and self._live_tokens + length <= capacity.tokens * most
            and self._fits(len(self._start.rows) + rows, self._start.tokens + tokens, length)
        )

    def _live_share(self) -> float:
        capacity, most = self._capacity, self._most_calls
        return max(len(self._live) / capacity.rows, self._live_tokens / capacity.tokens) / most

    def _fits(self, rows: int, tokens: int, length: int) -> bool:
        return rows == 0 or (rows < self._capacity.rows and tokens + length <= self._capacity.tokens)

    def _next_need(self) -> Hashable | None:
        ready = [need for need, pool in self._pools.items() if pool.rows]
        if len(ready) < 2:
            return ready[0] if ready else None
        if hurried := [need for need in ready if self._pools[need].hurried]:
            return hurried[0]
        late = min(ready, key=lambda need: self._pools[need].since)
        if self._calls - self._pools[late].since >= self.patience:
            return late
        full = [need for need in ready if self._fills(self._pools[need])]
        return full[-1] if full else max(ready, key=lambda need: self._pools[need].tokens)

    def _fills(self, pool: Pool) -> bool:
        return len(pool.rows) >= self._capacity.rows or pool.tokens >= self._capacity.tokens
