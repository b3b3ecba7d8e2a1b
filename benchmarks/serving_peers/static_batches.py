"""Our own server without refilling: the same HTTP, tokeniser, layer and policy, in batches.

    python -m serving_peers.static_batches --batch 32 --window 0.005 --operating-point safe  # and all of elbert serve's

A batch starts when --batch requests wait, or the first has waited for --window seconds, and no row joins it: rows that
are done exit, as in FastBERT, and the next batch starts when the last one has exited. What is missing is what the
engine adds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from elbert.cli.main import main
from elbert.engine import Capacity, Request, StepResult
from elbert.engine.offline import submit_all
from elbert.model import Backend
from elbert.serving import service
from elbert.serving.worker import Engines, Step
from elbert.tokenization import Tokens
from serving_peers.options import BATCH, WINDOW, add_batching

LOOK = 0.0005  # seconds between looks at whether the window is over or the batch full


class Batches(Engines):
    """Engines whose requests start together, or wait until all have exited."""

    batch, window = BATCH, WINDOW

    def __init__(self, backend: Backend, capacity: Capacity, probe: Tokens, clock: Callable[[], float]) -> None:
        super().__init__(backend, capacity, probe, clock)
        self._next: list[Request] = []
        self._since = 0.0

    def __len__(self) -> int:
        """How many rows there are."""
        return super().__len__() + len(self._next)

    def submit(self, requests: Sequence[Request], *, idle: bool) -> Iterator[StepResult]:
        """Take requests in, to wait for the batch that is under way."""
        if idle:
            yield from super().submit(requests, idle=True)
            return
        if not self._next:
            self._since = self._clock()
        self._next += requests

    def cancel(self, identity: int) -> None:
        """The client has cancelled this request."""
        self._next = [request for request in self._next if request.identity != identity]
        super().cancel(identity)

    def step(self) -> Step:
        """One layer call, or some waiting."""
        if not self._next or len(self._requests):
            return super().step()
        now = self._clock()
        if len(self._next) < self.batch and now - self._since < self.window:
            time.sleep(LOOK)
            return Step(StepResult(), now, self._clock())
        starting, self._next, self._since = self._next[: self.batch], self._next[self.batch :], now
        refused = _together(submit_all(self._requests, starting))
        return Step(refused, now, self._clock()) if refused.identities else super().step()


def _together(left: Iterable[StepResult]) -> StepResult:
    found = StepResult()
    for some in left:
        found += some
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    add_batching(parser)
    args, flags = parser.parse_known_args()
    Batches.batch, Batches.window = args.batch, args.window
    service.Engines = Batches  # type: ignore[misc]
    sys.exit(main(["serve", *flags]))
