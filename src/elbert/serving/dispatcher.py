"""The desk: who waits for which answer. Every row that is handed in is answered once, or cancelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from elbert.engine import Request
from elbert.errors import ElbertError
from elbert.exits import Policy
from elbert.inference import DEADLINE, Exits, predictions
from elbert.model import ModelConfig
from elbert.prediction import Prediction
from elbert.serving.admission import Pace, Ticket
from elbert.serving.errors import Overloaded, told
from elbert.serving.observer import Observer, observed
from elbert.serving.point_selection import Chosen, Points
from elbert.serving.results import Item, Timings
from elbert.serving.shadow import Shadow
from elbert.serving.worker import Step, Worker
from elbert.tokenization import Tokens


@dataclass
class Row:
    """A text whose answer somebody waits for. Times are seconds on the service's clock."""

    index: int
    tokens: Tokens
    chosen: Chosen
    ticket: Ticket
    deliver: Callable[[Item], None]
    tokenise: float
    arrived: float
    deadline: float | None = None
    trace: bool = False
    raw: bool = False
    started: float | None = None
    identity: int = field(default=-1)


class Desk:
    """Hands rows to the worker, and their answers back; for one thread, the event loop's."""

    def __init__(
        self,
        worker: Worker,
        config: ModelConfig,
        points: Points,
        shadow: Shadow,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        self._worker = worker
        self._config = config
        self._points = points
        self._shadow = shadow
        self._observer = observer
        self._clock = clock
        self._numbers = count()
        self._rows: dict[int, Row] = {}
        self._waiting: dict[int, Row] = {}  # the rows that have not started, the oldest first
        self._waiting_tokens = 0
        self._pace = Pace()
        self.policies: Counter[Policy] = Counter()  # of the rows that are here

    def __len__(self) -> int:
        """How many rows are under way."""
        return len(self._rows)

    @property
    def waiting(self) -> int:
        """How many rows have not started."""
        return len(self._waiting)

    @property
    def delay(self) -> float:
        """How long the oldest of the rows that have not started has waited, in seconds."""
        return self._clock() - next(iter(self._waiting.values())).arrived if self._waiting else 0.0

    def check(self, deadline: float | None) -> None:
        """Refuse a deadline that cannot be kept.

        Raises:
            Overloaded: too many wait already for even one layer by then.
        """
        if deadline is not None and not self._pace.keeps(self._waiting_tokens, deadline - self._clock()):
            wait = self._pace.wait(self._waiting_tokens)
            raise Overloaded(f"{self.waiting} texts wait already, and the deadline would pass", wait)

    def hand_in(self, rows: Sequence[Row]) -> None:
        """Rows to be answered.

        Raises:
            NotReady: the worker does not take them.
            Overloaded: their deadline cannot be kept.
        """
        for row in rows:
            self.check(row.deadline)
            row.identity = next(self._numbers)
        self._worker.submit([Request(r.identity, r.tokens, r.chosen.policy, r.deadline, r.trace) for r in rows])
        for row in rows:
            self._rows[row.identity] = row
            self._waiting[row.identity] = row
            self._waiting_tokens += len(row.tokens.ids)
            self.policies[row.chosen.policy] += 1

    def cancel(self, rows: Sequence[Row]) -> None:
        """Nobody waits for these any more, if they are still under way."""
        gone = [row.identity for row in rows if self._gone(row.identity)]
        if gone:
            self._worker.cancel(gone)
            observed(self._observer.cancelled, len(gone))

    def stepped(self, step: Step) -> None:
        """The worker made a step."""
        for identity in step.call.started if step.call else ():
            if row := self._no_longer_waiting(identity):
                row.started = step.began
        self._pace.stepped(step)
        for failure in step.left.failures:
            self._fail(failure.identity, told(failure.error))
        for exits in step.left.exits:
            self._leave(exits, step.ended)
        observed(self._observer.stepped, step)

    def fail_all(self, error: ElbertError) -> None:
        """Nobody who is under way will be answered."""
        for identity in list(self._rows):
            self._fail(identity, error)

    def _leave(self, exits: Exits, ended: float) -> None:
        identities = exits.identity.tolist()
        traced = np.array([i in self._rows and self._rows[i].trace for i in identities])
        if exits.said is not None and not traced.all():  # who shares a call with the curious need not hear all of it
            self._leave(replace(exits.keep(~traced), said=None), ended)
            exits = exits.keep(traced)
        for (identity, prediction), logits in zip(predictions(exits, self._config), exits.logits, strict=True):
            if identity in self._shadow:
                self._shadow.heard(identity, prediction)
            elif row := self._gone(identity):
                said = dict(zip(self._config.labels, logits.tolist(), strict=True)) if row.raw else None
                self._answer(row, ended, prediction, logits=said)

    def _fail(self, identity: int, error: ElbertError) -> None:
        if identity in self._shadow:
            self._shadow.heard(identity, None)
        elif row := self._gone(identity):
            self._answer(row, self._clock(), None, error)

    def _answer(
        self,
        row: Row,
        ended: float,
        prediction: Prediction | None,
        error: ElbertError | None = None,
        logits: dict[str, float] | None = None,
    ) -> None:
        started = ended if row.started is None else row.started
        timings = Timings(row.tokenise, started - row.arrived, ended - started)
        size, cut, name = len(row.tokens.ids), row.tokens.truncated, row.chosen.name
        item = Item(row.index, prediction, error, name, size, cut, timings, logits)
        row.deliver(item)
        observed(self._observer.left, item)
        if prediction is not None:
            self._points.exited(name, prediction.depth)
        if prediction is not None and prediction.reason != DEADLINE:
            self._shadow.answered(name, row.tokens, prediction)

    def _gone(self, identity: int) -> Row | None:
        """Strike a row off, once; None where it was before."""
        row = self._rows.pop(identity, None)
        if row is not None:
            self._no_longer_waiting(identity)
            row.ticket.leave(row.index)
            self.policies[row.chosen.policy] -= 1
            if not self.policies[row.chosen.policy]:
                del self.policies[row.chosen.policy]
        return row

    def _no_longer_waiting(self, identity: int) -> Row | None:
        row = self._waiting.pop(identity, None)
        if row is not None:
            self._waiting_tokens -= len(row.tokens.ids)
        return row
