"""The dispatcher: submits rows to the worker and delivers each one's result to its request, exactly once.

It reports what happens to an :class:`Observer`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from elbert._display import plural
from elbert.engine import RankedList, Request
from elbert.errors import ElbertError
from elbert.exits.policies import LIST_REASONS
from elbert.inference import DEADLINE, Document, Exits, build_predictions, build_token_predictions
from elbert.inference.token_predictions import PieceJoiner
from elbert.model import ModelConfig
from elbert.prediction import Prediction
from elbert.serving.admission import Throughput, Ticket
from elbert.serving.errors import Overloaded, to_client_error
from elbert.serving.point_selection import PointSelector, PolicyChoice
from elbert.serving.results import TextResult, Timings
from elbert.serving.shadow import Shadow
from elbert.serving.worker import Step, Worker
from elbert.tokenization import Tokens


@dataclass
class OpenDocument:
    """A text in windows that is in progress, how it is read (``long``), and the results of its windows so far."""

    document: Document
    arrived: float
    long: str
    results: dict[int, TextResult] = field(default_factory=dict)

    def build_result(self, last: TextResult, prediction: Prediction | None, ended: float) -> TextResult:
        """Return the result of the text; ``last`` is the window that completes it, or that has an error."""
        results = list(self.results.values())
        first = results[0].timings if results else last.timings
        return replace(
            last,
            prediction=prediction,
            tokens=sum(result.tokens for result in results),
            truncated=self.document.truncated,
            timings=replace(first, inference=ended - self.arrived - first.queue),
            window_layer_tokens=sum(result.layer_tokens for result in results),
        )


class Window(NamedTuple):
    """The window of a row: its document, and its number there."""

    owner: OpenDocument
    number: int


@dataclass
class Row:
    """A text in progress; ``index`` is its position in its request. Times are seconds on the service's clock."""

    index: int
    tokens: Tokens
    choice: PolicyChoice
    ticket: Ticket
    deliver: Callable[[TextResult], None]
    tokenise: float
    arrived: float
    deadline: float | None = None
    trace: bool = False
    raw: bool = False
    started: float | None = None  # when its first layer call began
    text: str = ""  # of a text whose tokens are classified
    window: Window | None = None  # of a text that is read in windows
    identity: int = field(default=-1)  # its number in the engine


class Dispatcher:
    """The rows in progress. Not thread-safe: used on the event loop's thread."""

    def __init__(
        self,
        worker: Worker,
        config: ModelConfig,
        points: PointSelector,
        shadow: Shadow,
        observer: Observer,
        clock: Callable[[], float],
        joiner: PieceJoiner | None = None,
    ) -> None:
        self._worker = worker
        self._joiner = joiner
        self._config = config
        self._points = points
        self._shadow = shadow
        self._observer = observer
        self._clock = clock
        self._identities = count()
        self._rows: dict[int, Row] = {}
        self._waiting: dict[int, Row] = {}  # rows before their first layer, the oldest first
        self._throughput = Throughput()

    def __len__(self) -> int:
        """The number of rows in progress."""
        return len(self._rows)

    @property
    def waiting(self) -> int:
        """The number of rows before their first layer."""
        return len(self._waiting)

    @property
    def delay(self) -> float:
        """Seconds that the oldest of the waiting rows has waited."""
        return self._clock() - next(iter(self._waiting.values())).arrived if self._waiting else 0.0

    def check_deadline(self, deadline: float | None) -> None:
        """Reject a deadline that cannot be met.

        Only rows that are due before it count: they start first, whatever else waits.

        Raises:
            Overloaded: these rows already take longer than that to have one layer.
        """
        if deadline is None:
            return
        due_before = [row for row in self._waiting.values() if row.deadline is not None and row.deadline <= deadline]
        tokens = sum(len(row.tokens.ids) for row in due_before)
        if not self._throughput.can_meet(tokens, deadline - self._clock()):
            wait = self._throughput.estimate_wait(tokens)
            raise Overloaded(
                f"{plural(len(due_before), 'text is', 'texts are')} due before, and the deadline would pass", wait
            )

    def submit(self, rows: Sequence[Row]) -> None:
        """Start to compute rows.

        Raises:
            NotReady: the worker is not ready.
            Overloaded: a deadline cannot be met.
        """
        for deadline in {row.deadline for row in rows}:
            self.check_deadline(deadline)
        for row in rows:
            row.identity = next(self._identities)
        flow = rows[0].identity if rows else None
        rules = rows[0].choice.policy.list_rules if rows else ()
        ranked = RankedList(rules[0]) if rules else None
        self._worker.submit(
            [Request(r.identity, r.tokens, r.choice.policy, r.deadline, r.trace, flow, ranked) for r in rows]
        )
        for row in rows:
            self._rows[row.identity] = row
            self._waiting[row.identity] = row

    def cancel(self, rows: Sequence[Row]) -> None:
        """Drop those of the rows that are still in progress; they get no result."""
        owners = {id(row.window.owner) for row in rows if row.window}
        further = [r for r in self._rows.values() if r.window and id(r.window.owner) in owners] if owners else []
        cancelled = [row for row in (*rows, *further) if self._remove(row.identity)]
        for row in cancelled:
            row.ticket.release(row.index)
        if cancelled:
            self._worker.cancel([row.identity for row in cancelled])
            texts = {row.identity if row.window is None else id(row.window.owner) for row in cancelled}
            notify(self._observer.on_cancel, len(texts))

    def process(self, step: Step) -> None:
        """Deliver the results of a step of the worker."""
        for identity in step.call.started if step.call else ():
            if row := self._waiting.pop(identity, None):
                row.started = step.began
        self._throughput.record(step)
        for failure in step.result.failures:
            self._fail(failure.identity, to_client_error(failure.error))
        for exits in step.result.exits:
            self._deliver_exits(exits, step.ended)
        notify(self._observer.on_step, step)

    def fail(self, identities: Iterable[int], error: ElbertError) -> None:
        """Deliver an error to those of the rows that are still in progress."""
        for identity in identities:
            self._fail(identity, error)

    def fail_all(self, error: ElbertError) -> None:
        """Deliver an error to every row in progress; texts of the shadow get no other result."""
        self.fail(list(self._rows), error)
        self._shadow.drop_all()

    def _deliver_exits(self, exits: Exits, ended: float) -> None:
        identities = exits.identity.tolist()
        traced = np.array([i in self._rows and self._rows[i].trace for i in identities])
        if exits.trace is not None and not traced.all():
            # A call remembers all of its rows if one asks for a trace; the others must not pay for its conversion.
            self._deliver_exits(replace(exits.keep(~traced), trace=None), ended)
            exits = exits.keep(traced)
        truncated = {i for i in identities if i in self._rows and self._rows[i].tokens.truncated}
        for identity, prediction, logits in self._build_predictions(exits, truncated):
            if self._shadow.is_active and identity in self._shadow:
                self._shadow.compare(identity, prediction)
            elif row := self._remove(identity):
                by_label = (
                    dict(zip(self._config.labels, logits.tolist(), strict=True)) if row.raw and len(logits) else None
                )
                self._deliver(row, ended, prediction, logits=by_label)

    def _build_predictions(self, exits: Exits, truncated: set[int]) -> Iterator[tuple[int, Prediction, NDArray[Any]]]:
        """Yield the identity, the prediction and the logits of each row; of token rows no logits."""
        if exits.counts is not None and self._joiner is not None:
            sources = {i: found for i in exits.identity.tolist() if (found := self._find_source(i)) is not None}
            tagged = build_token_predictions(exits, self._config, sources, self._joiner, truncated)
            yield from ((identity, prediction, exits.logits[:0]) for identity, prediction in tagged)
            return
        predictions = build_predictions(exits, self._config, truncated)
        for (identity, prediction), logits in zip(predictions, exits.logits, strict=True):
            yield identity, prediction, logits

    def _find_source(self, identity: int) -> tuple[str, Tokens] | None:
        if row := self._rows.get(identity):
            return row.text, row.tokens
        return self._shadow.find_source(identity)

    def _fail(self, identity: int, error: ElbertError) -> None:
        if self._shadow.is_active and identity in self._shadow:
            self._shadow.compare(identity, None)
        elif row := self._remove(identity):
            self._deliver(row, self._clock(), None, error)

    def _deliver(
        self,
        row: Row,
        ended: float,
        prediction: Prediction | None,
        error: ElbertError | None = None,
        logits: dict[str, float] | None = None,
    ) -> None:
        started = ended if row.started is None else row.started
        timings = Timings(row.tokenise, started - row.arrived, ended - started)
        tokens, truncated, point = len(row.tokens.ids), row.tokens.truncated, row.choice.name
        result = TextResult(row.index, prediction, error, point, tokens, truncated, timings, logits)
        if row.window is None:
            self._deliver_text(row, result)
        else:
            self._deliver_window(row, row.window, result, ended)
        if prediction is not None:
            self._points.record_exit(point, prediction.depth)

    def _deliver_text(self, row: Row, result: TextResult) -> None:
        row.ticket.release(row.index)
        row.deliver(result)
        notify(self._observer.on_result, result)
        prediction = result.prediction
        if not self._shadow.is_active or prediction is None or prediction.reason in (DEADLINE, *LIST_REASONS):
            return
        if row.window is None:
            self._shadow.sample(row.choice.name, (row.tokens,), prediction, texts=(row.text,) if row.text else ())
        else:
            owner = row.window.owner
            document = owner.document
            self._shadow.sample(
                row.choice.name, document.windows, prediction, document.combine, owner.long, document.texts
            )

    def _deliver_window(self, row: Row, window: Window, result: TextResult, ended: float) -> None:
        """Add a window to its document; deliver the result of the document, or submit the windows that it needs."""
        owner, document = window.owner, window.owner.document
        error, prediction = result.error, None
        if result.prediction is None:
            others = [other for other in self._rows.values() if other.window and other.window.owner is owner]
            self._worker.cancel([other.identity for other in others if self._remove(other.identity)])
        else:
            owner.results[window.number] = result
            prediction = document.add(window.number, result.prediction)
            numbers = [] if prediction else document.take_windows()
            if numbers and row.deadline is not None and row.deadline <= self._clock():
                prediction = document.finish(is_late=True)
            elif numbers:
                next_row = replace(row, arrived=self._clock(), started=None)
                try:
                    self.submit(self.build_windows(next_row, owner, numbers))
                except Overloaded:  # the deadline comes first: the windows so far are the answer
                    prediction = document.finish(is_late=True)
                except ElbertError as refusal:
                    error = refusal
        if prediction is not None or error is not None:
            self._deliver_text(row, owner.build_result(replace(result, error=error), prediction, ended))

    def build_windows(self, row: Row, owner: OpenDocument, numbers: Sequence[int]) -> list[Row]:
        """Return the rows of some windows of a text, which are like ``row`` but for their tokens."""
        document = owner.document
        return [
            replace(
                row,
                tokens=document.windows[number],
                text=document.texts[number] if document.texts else "",
                window=Window(owner, number),
                identity=-1,
            )
            for number in numbers
        ]

    def _remove(self, identity: int) -> Row | None:
        """Remove a row; None if it was removed before, so that no row gets two results."""
        row = self._rows.pop(identity, None)
        if row is not None:
            self._waiting.pop(identity, None)
        return row


log = logging.getLogger(__name__)


class Observer(Protocol):
    """The events of a service."""

    def on_accept(self, tokens: int, characters: int) -> None:
        """A text was accepted. It ends in exactly one :meth:`on_result` or is counted in one :meth:`on_cancel`."""

    def on_result(self, result: TextResult) -> None:
        """An accepted text has its prediction or its error."""

    def on_cancel(self, texts: int) -> None:
        """The client of this many accepted texts disconnected."""

    def on_reject(self, error: ElbertError) -> None:
        """A whole request was rejected."""

    def on_step(self, step: Step) -> None:
        """The engine made a step."""

    def on_point_change(self, point: str) -> None:
        """The default operating point changed with the load."""


class NullObserver:
    """Ignores every event; a base class for observers of a few events."""

    def on_accept(self, tokens: int, characters: int) -> None:
        """Do nothing."""

    def on_result(self, result: TextResult) -> None:
        """Do nothing."""

    def on_cancel(self, texts: int) -> None:
        """Do nothing."""

    def on_reject(self, error: ElbertError) -> None:
        """Do nothing."""

    def on_step(self, step: Step) -> None:
        """Do nothing."""

    def on_point_change(self, point: str) -> None:
        """Do nothing."""


def notify(event: Callable[..., None], *arguments: object) -> None:
    """Call an observer's method. Its failure is logged: it must not affect the text's result."""
    try:
        event(*arguments)
    except Exception as error:
        log.error("an observer failed", exc_info=error)
