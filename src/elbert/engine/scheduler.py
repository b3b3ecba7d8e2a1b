"""The scheduler: which rows start, and which rows take the next layer call. It holds no tensor.

The queues below decide the order in which waiting rows start: by arrival, by deadline, or longest first.

A row waits in a queue, then is ready in the pool of the weights that it needs next, takes a layer call, and returns
to a pool or exits. ALBERT's depths share one layer, so there is one pool and every call takes all of it: rows at
different depths share the call, and a place is filled again as soon as its row exits.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

NEVER = float("inf")
URGENT_SHARE = 7 / 8  # of a layer call


@dataclass(frozen=True)
class Capacity:
    """The most rows and tokens that share one layer call. A row of more than ``tokens`` takes a call alone."""

    rows: int
    tokens: int


@dataclass
class Pool:
    """Rows that are ready for the same weights, those that have waited longest first."""

    rows: deque[int] = field(default_factory=deque)
    tokens: int = 0
    since: int = 0  # number of the call at which it got its first row or was last served
    is_urgent: bool = False  # whether its first rows must take the next call


class Scheduler:
    """Queue, pools and capacity. ``weights_keys[d]`` names the weights that take a row from depth d to d + 1.

    ``lanes`` is the number of calls in progress at once. A model with several weights has a pool for each. A pool is
    served when it can fill a call, deepest first, because that completes rows; if none can, the fullest is served. A
    pool that has waited for ``max_wait_calls`` calls goes before all others, so that no row waits forever.

    ``refill`` is the share of places that must be free before new rows start. With 0 a free place is filled at once,
    which gives single requests the shortest wait. Bulk input is faster with an eighth: a call with an eighth fewer
    rows costs an eighth less, and the cost of starting rows, almost the same for one row or many, is paid less often.
    """

    def __init__(
        self,
        capacity: Capacity,
        weights_keys: Sequence[Hashable],
        *,
        queue: Queue | None = None,
        lanes: int = 1,
        refill: float = 0.0,
    ) -> None:
        self._capacity = capacity
        self._refill = refill
        self._pools = {key: Pool() for key in weights_keys}
        self._start = self._pools[weights_keys[0]]
        self._queue: Queue = ArrivalQueue() if queue is None else queue
        self._live: dict[int, int] = {}  # tokens of each live row
        self._live_tokens = 0
        self._max_calls = max(lanes, len(self._pools))
        self._calls = 0
        self.max_wait_calls = 4 * len(self._pools)

    @property
    def num_waiting(self) -> int:
        """Number of rows that have not started."""
        return len(self._queue)

    @property
    def num_live(self) -> int:
        """Number of rows that have started and not exited."""
        return len(self._live)

    @property
    def can_call(self) -> bool:
        """Whether a call can be made now, with rows that are ready or may start."""
        return any(pool.rows for pool in self._pools.values()) or (
            len(self._queue) > 0 and self._can_start(self._queue.peek()[1], 0, 0)
        )

    def add(self, identity: int, length: int, due: float = NEVER, flow: int | None = None) -> None:
        """Add a waiting row of ``length`` tokens."""
        self._queue.put(identity, length, due, flow)

    def admit(self, urgent: Sequence[tuple[int, int]] = ()) -> list[int]:
        """Choose the rows that start now; :meth:`enqueue` must add them to a pool.

        The rows ``urgent``, ``(identity, length)``, start even beyond the capacity for live rows, up to one full call,
        or :data:`URGENT_SHARE` of it beside other rows, which would wait as long as urgent ones arrive.
        """
        started, tokens = list[int](), 0
        share = URGENT_SHARE if urgent and self._has_others(len(urgent)) else 1
        for identity, length in urgent:
            if not self._fits(len(started), tokens, length, share):
                break
            started.append(identity)
            tokens += length
        if started:
            self._queue.drop(set(started))
            self._live.update(urgent[: len(started)])
            self._live_tokens += tokens
        while len(self._queue) and self._can_start(self._queue.peek()[1], len(started), tokens):
            identity, length = self._queue.take()
            self._live[identity] = length
            self._live_tokens += length
            tokens += length
            started.append(identity)
        return started

    def start_ahead(self, rows: int, tokens: int) -> list[int]:
        """Start so many waiting rows, of so many tokens, at least one row, for a call that fills free places itself."""
        started, total = list[int](), 0
        while len(self._queue) and (not started or (len(started) < rows and total + self._queue.peek()[1] <= tokens)):
            identity, length = self._queue.take()
            self._live[identity] = length
            total += length
            started.append(identity)
        self._live_tokens += total
        return started

    def put_back(self, identities: Iterable[int]) -> None:
        """The last of the rows that :meth:`start_ahead` returned wait again."""
        rows = [(identity, self._live.pop(identity)) for identity in identities]
        self._live_tokens -= sum(length for _, length in rows)
        self._queue.put_back(rows)

    def enqueue(self, weights_key: Hashable, identities: Sequence[int], *, is_urgent: bool = False) -> None:
        """Add live rows to the pool of the weights that they need next; urgent rows go to its front."""
        pool = self._pools[weights_key]
        if not pool.rows:
            pool.since = self._calls
        if is_urgent:
            pool.is_urgent = True
            pool.rows.extendleft(reversed(identities))
        else:
            pool.rows.extend(identities)
        pool.tokens += sum(map(self._live.__getitem__, identities))

    def next_call(self) -> tuple[Hashable, list[int]] | None:
        """Choose the weights that run next and their rows, in pool order; None if no row is ready."""
        weights_key = self._next_weights()
        if weights_key is None:
            return None
        pool = self._pools[weights_key]
        taken = self._take_all(pool) if self._fits_whole(pool) else self._take_some(pool)
        self._calls += 1
        pool.since = self._calls
        pool.is_urgent = False
        return weights_key, taken

    def withdraw(self, identities: Collection[int]) -> None:
        """Take rows out of the queue and the pools; live rows keep their places until :meth:`release`."""
        self._queue.drop(identities)
        for pool in self._pools.values():
            pool.rows = deque(identity for identity in pool.rows if identity not in identities)
            pool.tokens = sum(map(self._live.__getitem__, pool.rows))

    def release(self, identities: Iterable[int]) -> None:
        """Free the places of rows that are in no pool."""
        for identity in identities:
            self._live_tokens -= self._live.pop(identity, 0)

    def _has_others(self, urgent: int) -> bool:
        """Whether rows wait or are ready beside so many urgent ones."""
        return len(self._queue) > urgent or any(pool.rows for pool in self._pools.values())

    def _fits_whole(self, pool: Pool) -> bool:
        return len(pool.rows) <= self._capacity.rows and pool.tokens <= self._capacity.tokens

    def _take_all(self, pool: Pool) -> list[int]:
        taken = list(pool.rows)
        pool.rows.clear()
        pool.tokens = 0
        return taken

    def _take_some(self, pool: Pool) -> list[int]:
        taken, tokens = list[int](), 0
        while pool.rows and self._fits(len(taken), tokens, self._live[pool.rows[0]]):
            taken.append(pool.rows.popleft())
            tokens += self._live[taken[-1]]
        pool.tokens -= tokens
        return taken

    def _can_start(self, length: int, rows: int, tokens: int) -> bool:
        if not self._live:
            return True
        calls, capacity = self._max_calls, self._capacity
        if not rows and self._live_share() > 1 - self._refill:
            return False
        return (
            len(self._live) < capacity.rows * calls
            and self._live_tokens + length <= capacity.tokens * calls
            and self._fits(len(self._start.rows) + rows, self._start.tokens + tokens, length)
        )

    def _live_share(self) -> float:
        capacity, calls = self._capacity, self._max_calls
        return max(len(self._live) / capacity.rows, self._live_tokens / capacity.tokens) / calls

    def _fits(self, rows: int, tokens: int, length: int, share: float = 1) -> bool:
        fits = rows < share * self._capacity.rows and tokens + length <= share * self._capacity.tokens
        return rows == 0 or fits

    def _next_weights(self) -> Hashable | None:
        ready = [key for key, pool in self._pools.items() if pool.rows]
        if len(ready) < 2:
            return ready[0] if ready else None
        if urgent := [key for key in ready if self._pools[key].is_urgent]:
            return urgent[0]
        oldest = min(ready, key=lambda key: self._pools[key].since)
        if self._calls - self._pools[oldest].since >= self.max_wait_calls:
            return oldest
        full = [key for key in ready if self._fills_call(self._pools[key])]
        return full[-1] if full else max(ready, key=lambda key: self._pools[key].tokens)

    def _fills_call(self, pool: Pool) -> bool:
        return len(pool.rows) >= self._capacity.rows or pool.tokens >= self._capacity.tokens


class Queue(Protocol):
    """Waiting rows, as ``(identity, length)``."""

    def put(self, identity: int, length: int, due: float = NEVER, flow: int | None = None) -> None:
        """Add a row of ``length`` tokens that must have its prediction at ``due``, or belongs to a flow of rows."""

    def peek(self) -> tuple[int, int]:
        """Return the next row without removing it."""

    def take(self) -> tuple[int, int]:
        """Remove and return the next row."""

    def put_back(self, rows: Sequence[tuple[int, int]]) -> None:
        """The last rows that were taken, in that order, go next."""

    def drop(self, identities: Collection[int]) -> None:
        """Remove these rows, where present."""

    def __len__(self) -> int:
        """Number of waiting rows."""


class ArrivalQueue:
    """First come, first served; deadlines and flows are ignored."""

    def __init__(self) -> None:
        self._rows: deque[tuple[int, int]] = deque()

    def put(self, identity: int, length: int, due: float = NEVER, flow: int | None = None) -> None:
        """Add a row at the end."""
        self._rows.append((identity, length))

    def peek(self) -> tuple[int, int]:
        """Return the oldest row."""
        return self._rows[0]

    def take(self) -> tuple[int, int]:
        """Remove and return the oldest row."""
        return self._rows.popleft()

    def put_back(self, rows: Sequence[tuple[int, int]]) -> None:
        """Rows go before all others."""
        self._rows.extendleft(reversed(rows))

    def drop(self, identities: Collection[int]) -> None:
        """Remove these rows, where present."""
        self._rows = deque(row for row in self._rows if row[0] not in identities)

    def __len__(self) -> int:
        """Number of waiting rows."""
        return len(self._rows)


class DeadlineQueue:
    """Earliest deadline first; flows, which have none, take turns.

    A row of a flow has a place in virtual time, in tokens: behind the flow's rows before it, or at the present where it
    has none. The first place goes next. Virtual time passes as fast as each of the waiting flows would be served if all
    had the same share of the tokens, so a flow of one row does not wait for the end of a flow of hundreds, and no row
    waits forever (weighted fair queueing: Demers, Keshav and Shenker 1989). A row of a flow goes before all that are
    due after it.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[float, int, int, int]] = []  # without flow: (due, arrival, identity, length), a heap
        # In flows: (place, arrival, identity, length, due, flow), a heap.
        self._in_flows: list[tuple[float, int, int, int, float, int]] = []
        self._ends: dict[int, float] = {}  # of each waiting flow: the place behind its last row
        self._sizes: Counter[int] = Counter()  # rows of each waiting flow
        self._now = 0.0  # virtual time
        self._arrivals = count()

    def put(self, identity: int, length: int, due: float = NEVER, flow: int | None = None) -> None:
        """Add a row."""
        if flow is None:
            heappush(self._rows, (due, next(self._arrivals), identity, length))
            return
        place = max(self._now, self._ends.get(flow, 0.0))
        self._ends[flow] = place + length
        self._sizes[flow] += 1
        heappush(self._in_flows, (place, next(self._arrivals), identity, length, due, flow))

    def peek(self) -> tuple[int, int]:
        """Return the row that goes next."""
        return (self._in_flows[0] if self._is_turn_of_flows() else self._rows[0])[2:4]

    def take(self) -> tuple[int, int]:
        """Remove and return the row that goes next."""
        if not self._is_turn_of_flows():
            return heappop(self._rows)[2:4]
        place, _, identity, length, _, flow = heappop(self._in_flows)
        self._now = max(self._now, place) + length / len(self._sizes)
        self._remove_from_flow(flow)
        return identity, length

    def put_back(self, rows: Sequence[tuple[int, int]]) -> None:
        """Rows go before all others: only rows without deadlines are taken ahead."""
        for place, (identity, length) in enumerate(rows, -len(rows)):
            heappush(self._rows, (-NEVER, place, identity, length))

    def drop(self, identities: Collection[int]) -> None:
        """Remove these rows, where present."""
        self._rows = [row for row in self._rows if row[2] not in identities]
        heapify(self._rows)
        for row in self._in_flows:
            if row[2] in identities:
                self._remove_from_flow(row[-1])
        self._in_flows = [row for row in self._in_flows if row[2] not in identities]
        heapify(self._in_flows)

    def __len__(self) -> int:
        """Number of waiting rows."""
        return len(self._rows) + len(self._in_flows)

    def _is_turn_of_flows(self) -> bool:
        return bool(self._in_flows) and (not self._rows or self._in_flows[0][4] < self._rows[0][0])

    def _remove_from_flow(self, flow: int) -> None:
        self._sizes[flow] -= 1
        if not self._sizes[flow]:
            del self._sizes[flow], self._ends[flow]


class SweepQueue:
    """From the longest row to the shortest, again and again, so that rows of similar length share a call.

    No row waits forever: a new row that is at least as long as the last one taken waits for the next sweep, so every
    sweep ends, even if rows keep arriving.
    """

    def __init__(self) -> None:
        self._this: list[tuple[int, int, int]] = []  # rows of this sweep: (-length, arrival, identity), a heap
        self._next: list[tuple[int, int, int]] = []  # rows of the next sweep
        self._arrivals = count()
        self._last_length: float = float("inf")

    def put(self, identity: int, length: int, due: float = NEVER, flow: int | None = None) -> None:
        """Add a row to this sweep, or to the next if the sweep has passed its length."""
        row = (-length, next(self._arrivals), identity)
        if length < self._last_length:
            heappush(self._this, row)
        else:
            self._next.append(row)

    def peek(self) -> tuple[int, int]:
        """Return the longest row of this sweep; starts the next sweep if this one is over."""
        if not self._this:
            self._this, self._next = self._next, []
            heapify(self._this)
            self._last_length = float("inf")
        length, _, identity = self._this[0]
        return identity, -length

    def take(self) -> tuple[int, int]:
        """Remove and return the longest row of this sweep."""
        identity, length = self.peek()
        heappop(self._this)
        self._last_length = length
        return identity, length

    def put_back(self, rows: Sequence[tuple[int, int]]) -> None:
        """Rows go back into this sweep, which returns to the longest of them."""
        for place, (identity, length) in enumerate(rows, -len(rows)):
            heappush(self._this, (-length, place, identity))
            self._last_length = max(self._last_length, length)

    def drop(self, identities: Collection[int]) -> None:
        """Remove these rows, where present."""
        self._this = [row for row in self._this if row[2] not in identities]
        self._next = [row for row in self._next if row[2] not in identities]
        heapify(self._this)

    def __len__(self) -> int:
        """Number of waiting rows."""
        return len(self._this) + len(self._next)
