"""Admission: what is under way is bounded, in texts and in layer-tokens; deadlines that cannot be met are rejected."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from elbert.serving.errors import Overloaded
from elbert.serving.worker import Step

FADES = 0.95  # what a step's weight is multiplied by at each next one
SHARE = 0.8  # of a deadline that waiting for the first layer may take: the rest is for what cannot be foreseen


class Pace:
    """Layer-tokens per second, over the latest steps; large calls count for more, as they do under load."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0

    def stepped(self, step: Step) -> None:
        """A step was made."""
        if step.call is None or step.idle:
            return
        self._tokens = FADES * self._tokens + step.call.tokens
        self._seconds = FADES * self._seconds + step.ended - step.began

    def wait(self, tokens: int) -> float:
        """Seconds until so many waiting tokens can have had one layer."""
        return tokens * self._seconds / self._tokens if self._tokens else 0.0

    def keeps(self, tokens: int, seconds: float) -> bool:
        """Whether who comes behind so many tokens will probably have an answer in so many seconds."""
        return self.wait(tokens) <= SHARE * seconds or not tokens


MEMORY = 5.0  # seconds over which the rate of leaving is averaged, while texts are under way
SOONEST, LATEST = 0.1, 30.0  # seconds, the range of what is told to who is refused


class Admission:
    """Counts texts, and layer-tokens (tokens times the depth that they are expected to reach).

    A request that is larger than a bound is accepted when it is alone, or it could never be served. For one thread:
    the event loop's.
    """

    def __init__(self, most_texts: int, most_layer_tokens: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most_texts = most_texts
        self.most_layer_tokens = most_layer_tokens
        self.texts = 0
        self.layer_tokens = 0
        self._clock = clock
        self._busy = clock()  # since when texts are under way
        self._recent = 0.0  # texts that left since then, each fading with MEMORY
        self._counted = self._busy

    def enter(self, texts: int) -> Ticket:
        """Let a request in, as far as can be told before its tokens are known.

        Raises:
            Overloaded: too much is under way.
        """
        if self.texts and (self.texts + texts > self.most_texts or self.layer_tokens >= self.most_layer_tokens):
            raise self.refusal()
        if not self.texts:
            self._busy, self._recent = self._clock(), 0.0
        self.texts += texts
        return Ticket(self, texts)

    def refusal(self) -> Overloaded:
        """The error for who is refused: by the time it names, half of what is under way will probably have left."""
        seconds = MEMORY * -math.expm1((self._busy - self._clock()) / MEMORY)  # as they fade too
        recent = self._faded()
        wait = self.texts / 2 * seconds / recent if recent > 0 else 1.0
        return Overloaded(
            f"{self.texts} texts with {self.layer_tokens:,} layer-tokens are under way, of at most {self.most_texts} "
            f"and {self.most_layer_tokens:,}",
            min(max(wait, SOONEST), LATEST),
        )

    def left(self, layer_tokens: int) -> None:
        """A text has left, and its layer-tokens with it."""
        self.texts -= 1
        self.layer_tokens -= layer_tokens
        self._recent = self._faded() + 1

    def _faded(self) -> float:
        now = self._clock()
        self._recent *= math.exp((self._counted - now) / MEMORY)
        self._counted = now
        return self._recent


class Ticket:
    """The places of one request's texts; each is given back once, however often one says so."""

    def __init__(self, admission: Admission, texts: int) -> None:
        self._admission = admission
        self._costs: dict[int, int] = dict.fromkeys(range(texts), 0)  # layer-tokens of the texts that are here

    def charge(self, costs: Sequence[int]) -> None:
        """Their tokens are known: so many layer-tokens each.

        Raises:
            Overloaded: there is no room for them; the places are given back.
        """
        admission, total = self._admission, sum(costs)
        if admission.layer_tokens and admission.layer_tokens + total > admission.most_layer_tokens:
            refusal = admission.refusal()
            self.close()
            raise refusal
        admission.layer_tokens += total
        self._costs = dict(enumerate(costs))

    def leave(self, index: int) -> None:
        """A text has left."""
        if index in self._costs:
            self._admission.left(self._costs.pop(index))

    def close(self) -> None:
        """All have left."""
        for index in list(self._costs):
            self.leave(index)
