"""Admission: bounds on texts and layer-tokens in progress, shared fairly between large and small requests.

Also rejects deadlines that cannot be met.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from elbert.serving.errors import Overloaded
from elbert.serving.worker import Step

AVERAGING_SECONDS = 5.0  # time constant of the average rate of exits
MIN_RETRY, MAX_RETRY = 0.1, 30.0  # seconds, the range of Retry-After


LARGER = 2  # a request in progress counts as at most this many times the size of a new one
EXCESS = 2  # of the limits that all requests together may reach


class Admission:
    """Counts the texts in progress, and their layer-tokens (tokens times the expected exit depth).

    A new request is measured against work of its own size: a request in progress counts as at most twice as large as
    the new one. So large requests reject large ones, and a small request is accepted beside any of them, up to twice
    the limits in total. A request that is larger than a limit is accepted if it is alone; otherwise it could never be
    served. Not thread-safe: used on the event loop's thread.
    """

    def __init__(self, max_texts: int, max_layer_tokens: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_texts = max_texts
        self.max_layer_tokens = max_layer_tokens
        self.texts = 0
        self.layer_tokens = 0
        self._tickets: set[Ticket] = set()
        self._clock = clock
        self._busy_since = clock()  # since when at least one text has been in progress
        self._recent_exits = 0.0  # since then, with exponential decay
        self._decayed_at = self._busy_since

    def admit(self, texts: int, layer_tokens: int = 0) -> Ticket:
        """Accept a request whose tokens are not yet known; ``layer_tokens`` is an estimate that is not too high.

        Raises:
            Overloaded: too much is in progress.
        """
        ticket = Ticket(self, texts, layer_tokens)
        self._check(ticket)
        if not self.texts:
            self._busy_since, self._recent_exits = self._clock(), 0.0
        self._tickets.add(ticket)
        self.texts += texts
        self.layer_tokens += layer_tokens
        return ticket

    def overload_error(self) -> Overloaded:
        """The error of a rejected request; after its ``retry_after``, half of today's texts have probably exited."""
        # The time in progress, with the same decay as the exits: their quotient is a rate from the first exit on.
        seconds = AVERAGING_SECONDS * -math.expm1((self._busy_since - self._clock()) / AVERAGING_SECONDS)
        exits = self._decay_exits()
        wait = self.texts / 2 * seconds / exits if exits > 0 else 1.0
        return Overloaded(
            f"{self.texts} texts with {self.layer_tokens:,} layer-tokens are in progress, of at most {self.max_texts} "
            f"and {self.max_layer_tokens:,} for requests of this size",
            min(max(wait, MIN_RETRY), MAX_RETRY),
        )

    def charge(self, ticket: Ticket, costs: Sequence[int]) -> None:
        """Replace the estimate of a ticket by the layer-tokens of each text.

        Raises:
            Overloaded: they exceed the limit; all texts are released.
        """
        self.layer_tokens -= ticket.layer_tokens
        ticket.set_costs(costs)
        self.layer_tokens += ticket.layer_tokens
        try:
            self._check(ticket)
        except Overloaded:
            ticket.close()
            raise

    def release(self, ticket: Ticket, layer_tokens: int) -> None:
        """Count a text of a ticket, with this many layer-tokens, as done."""
        self.texts -= 1
        self.layer_tokens -= layer_tokens
        self._recent_exits = self._decay_exits() + 1
        if not ticket.texts:
            self._tickets.discard(ticket)

    def _check(self, new: Ticket) -> None:
        counted = new if new in self._tickets else None
        texts = self.texts + (0 if counted else new.texts)
        layer_tokens = self.layer_tokens + (0 if counted else new.layer_tokens)
        if texts <= self.max_texts and layer_tokens <= self.max_layer_tokens:
            return
        others = [ticket for ticket in self._tickets if ticket is not new]
        if not (
            _fits(new.texts, [ticket.texts for ticket in others], self.max_texts)
            and _fits(new.layer_tokens, [ticket.layer_tokens for ticket in others], self.max_layer_tokens)
        ):
            raise self.overload_error()

    def _decay_exits(self) -> float:
        now = self._clock()
        self._recent_exits *= math.exp((self._decayed_at - now) / AVERAGING_SECONDS)
        self._decayed_at = now
        return self._recent_exits


def _fits(size: int, others: Sequence[int], limit: int) -> bool:
    """Whether a request of this size is accepted beside others."""
    if not any(others) or sum(others) + size <= limit:
        return True
    comparable = sum(min(other, LARGER * size) for other in others)
    together = sum(min(other, limit) for other in others)
    return comparable + size <= limit and together + size <= EXCESS * limit


class Ticket:
    """The admitted texts of one request. Each is released once, however often :meth:`release` is called.

    texts:        how many are not yet released
    layer_tokens: theirs, an estimate until :meth:`charge`
    """

    def __init__(self, admission: Admission, texts: int, layer_tokens: int) -> None:
        self._admission = admission
        # Layer-tokens of the texts not yet released; an estimate of all is booked under the first.
        self._costs: dict[int, int] = {**dict.fromkeys(range(texts), 0), 0: layer_tokens}
        self.layer_tokens = layer_tokens

    @property
    def texts(self) -> int:
        """How many texts are not yet released."""
        return len(self._costs)

    def charge(self, costs: Sequence[int]) -> None:
        """Set the layer-tokens of each text, once they are known.

        Raises:
            Overloaded: they exceed the limit; all texts are released.
        """
        self._admission.charge(self, costs)

    def set_costs(self, costs: Sequence[int]) -> None:
        """Replace the estimate, without a check."""
        self._costs = dict(enumerate(costs))
        self.layer_tokens = sum(costs)

    def release(self, index: int) -> None:
        """Release a text by its position in the request."""
        if index in self._costs:
            cost = self._costs.pop(index)
            self.layer_tokens -= cost
            self._admission.release(self, cost)

    def close(self) -> None:
        """Release all texts."""
        for index in list(self._costs):
            self.release(index)


STEP_DECAY = 0.95  # weight of a step relative to the next one
WAIT_SHARE = 0.8  # of a deadline that the wait for the first layer may take; the rest is a margin


class Throughput:
    """Layer-tokens per second over the latest steps. Large calls weigh more: they are what a loaded server makes."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0

    def record(self, step: Step) -> None:
        """Include a step; steps without a layer call and idle ones do not count."""
        if step.call is None or step.idle:
            return
        self._tokens = STEP_DECAY * self._tokens + step.call.tokens
        self._seconds = STEP_DECAY * self._seconds + step.ended - step.began

    def estimate_wait(self, tokens: int) -> float:
        """Seconds until this many waiting tokens have had one layer; 0 before the first step."""
        return tokens * self._seconds / self._tokens if self._tokens else 0.0

    def can_meet(self, tokens: int, seconds: float) -> bool:
        """Whether a text behind this many waiting tokens probably gets a prediction within ``seconds``."""
        return self.estimate_wait(tokens) <= WAIT_SHARE * seconds or not tokens
