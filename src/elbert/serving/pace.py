"""Pace: how fast layer calls go, and so how soon whoever waits can have had one."""

from __future__ import annotations

from elbert.serving.engines import Step

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
