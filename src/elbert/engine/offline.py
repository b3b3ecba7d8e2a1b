"""Run the engine over an input of any length: read ahead, submit, step, return results in input order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count, islice
from queue import Empty, Queue
from threading import Thread
from typing import Generic, Protocol, TypeVar

from elbert.engine.engine import Engine
from elbert.engine.requests import Failure, Request, StepResult
from elbert.errors import InputError
from elbert.exits import Policy
from elbert.tokenization import Tokeniser, Tokens
from elbert.tokenization.tokenizer import Text, check_text

BLOCK = 2048  # texts read and tokenised at once: enough to sort by length, and to use all cores for tokenising

Item = TypeVar("Item")
Result = TypeVar("Result")


class Source(Protocol):
    """Where tokenised texts come from, block by block."""

    @property
    def is_live(self) -> bool:
        """Whether :meth:`read_block` may have to wait, so that rows in the engine should be completed first."""

    @property
    def has_ended(self) -> bool:
        """Whether there are no more texts."""

    def read_block(self) -> Sequence[Tokens]:
        """Return the next texts."""


def run_engine(
    engine: Engine,
    source: Source,
    policy: Policy,
    *,
    min_waiting: int,
    step_context: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[StepResult]:
    """Classify all texts of a source; yields the result of every step. Identities count the texts from 0.

    Reads a block when fewer than ``min_waiting`` texts wait; from a live source only when the engine is empty. Every
    step runs inside ``step_context()``.
    """
    identities = count()
    while True:
        should_read = engine.num_waiting < min_waiting and not (source.is_live and len(engine))
        if should_read and not source.has_ended:
            yield from submit_all(engine, [Request(next(identities), tokens, policy) for tokens in source.read_block()])
        if len(engine):
            with step_context():
                result = engine.step()
            yield result
        elif source.has_ended:
            return


def submit_all(engine: Engine, requests: Sequence[Request]) -> Iterator[StepResult]:
    """Submit requests; yields a failure for each one that the engine rejects."""
    for request in requests:
        try:
            engine.submit(request)
        except InputError as error:
            yield StepResult(failures=(Failure(request.identity, error),))


class OrderedResults(Generic[Result]):
    """Puts results into the order of their numbers, which count from 0."""

    def __init__(self) -> None:
        self._results: dict[int, Result] = {}
        self._next = 0

    def add(self, number: int, result: Result) -> None:
        """Add a result."""
        self._results[number] = result

    def pop_ready(self) -> Iterator[Result]:
        """Remove and yield the results whose predecessors have all been yielded."""
        while self._next in self._results:
            self._next += 1
            yield self._results.pop(self._next - 1)


class TokenList:
    """A source of tokenised texts that are all in memory."""

    is_live = False

    def __init__(self, tokens: Sequence[Tokens]) -> None:
        self._tokens = tokens
        self.has_ended = False

    def read_block(self) -> Sequence[Tokens]:
        """Return all texts."""
        self.has_ended = True
        return self._tokens


class TextReader:
    """A source that reads and tokenises an iterable of texts block by block.

    An error of the iterable ends the source; :meth:`raise_error` raises it when the texts before it are done. A
    ``live`` iterable may itself wait for predictions before it yields the next text, as a program at the other end of
    a pipe does: it is read in a thread, and a block is whatever has arrived.
    """

    def __init__(self, texts: Iterable[object], tokeniser: Tokeniser, *, live: bool = False) -> None:
        source = (check_text(text, number) for number, text in enumerate(texts))
        self._source: Iterable[Text] = ThreadedReader(source, BLOCK) if live else source
        self._tokeniser = tokeniser
        self._error: Exception | None = None
        self.is_live = live
        self.has_ended = False

    def read_block(self) -> list[Tokens]:
        """Return the next texts: a full block, or those that a live source has ready; an empty list at the end."""
        texts: list[Text] = []
        try:
            for text in islice(self._source, BLOCK):
                texts.append(text)
            self.has_ended = not texts
        except EndOfSource:
            self.has_ended = True
        except Exception as error:
            self._error = error
            self.has_ended = True
        return self._tokeniser.encode(texts)

    def raise_error(self) -> None:
        """Raise the error of the iterable, if there was one."""
        if self._error is not None:
            raise self._error


class EndOfSource(Exception):
    """The source of a :class:`ThreadedReader` has ended, or failed with the cause of this exception."""


class ThreadedReader(Generic[Item]):
    """Reads an iterable in a thread. Each iteration waits for one item, then yields all others that have arrived."""

    def __init__(self, source: Iterable[Item], max_items: int) -> None:
        """Read at most ``max_items`` items ahead."""
        self._items: Queue[Item | EndOfSource] = Queue(max_items)
        Thread(target=self._read, args=(source,), daemon=True).start()

    def __iter__(self) -> Iterator[Item]:
        """Yield at least one item, and stop where the next would have to be waited for.

        Raises:
            EndOfSource: the source has ended.
            Exception: the error of the source.
        """
        item = self._items.get()
        while True:
            if isinstance(item, EndOfSource):
                self._items.put(item)  # the next iteration must find it too
                if item.__cause__ is not None:
                    raise item.__cause__
                raise item
            yield item
            try:
                item = self._items.get_nowait()
            except Empty:
                return

    def _read(self, source: Iterable[Item]) -> None:
        end = EndOfSource()
        try:
            for item in source:
                self._items.put(item)
        except Exception as error:
            end.__cause__ = error
        self._items.put(end)
