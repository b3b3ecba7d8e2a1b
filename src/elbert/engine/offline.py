"""Run the engine over an input of any length: read ahead, submit, step, return results in input order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import count
from threading import Condition, Thread
from typing import Generic, Protocol, TypeVar

from elbert.engine.engine import Engine, submit_all
from elbert.engine.requests import Failure, RankedList, Request, StepResult
from elbert.errors import ElbertError, InputError
from elbert.exits import Policy
from elbert.inference import Exits
from elbert.prediction import Prediction
from elbert.tokenization import Tokeniser, Tokens
from elbert.tokenization.tokens import Text, check_text, count_characters
from elbert.tokenization.word_pieces import NO_PIECES

BLOCK = 2048  # texts read and tokenised at once: enough to sort by length, and to use all cores for tokenising
BLOCK_CHARACTERS = 1 << 22  # of the texts of a block; the last one can exceed them

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

    def read_block(self) -> Sequence[Tokens | ElbertError]:
        """Return the next texts; one that cannot be tokenised is its error."""


def run_engine(
    engine: Engine,
    source: Source,
    policy: Policy,
    *,
    min_waiting: int,
    step_context: Callable[[], AbstractContextManager[None]] = nullcontext,
    find_list: Callable[[int], RankedList | None] = lambda _: None,
) -> Iterator[StepResult]:
    """Classify all texts of a source; yields the result of every step. Identities count the texts from 0.

    Reads a block when fewer than ``min_waiting`` texts wait; from a live source only when the engine is empty. Every
    step runs inside ``step_context()``. ``find_list`` has the list in which a text is ranked.
    """
    identities = count()
    while True:
        should_read = engine.num_waiting < min_waiting and not (source.is_live and len(engine))
        if should_read and not source.has_ended:
            rows = [(next(identities), row) for row in source.read_block()]
            if failures := tuple(Failure(identity, row) for identity, row in rows if isinstance(row, ElbertError)):
                yield StepResult(failures=failures)
            yield from submit_all(
                engine,
                [
                    Request(identity, row, policy, ranked_in=find_list(identity))
                    for identity, row in rows
                    if isinstance(row, Tokens)
                ],
            )
        if len(engine):
            with step_context():
                result = engine.step()
            yield result
        elif source.has_ended:
            return


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


def order_results(
    steps: Iterable[StepResult], source: TextReader, build: Callable[[Exits], Iterable[tuple[int, Prediction]]]
) -> Iterator[Prediction | Exception]:
    """Yield the prediction of each text of ``source``, or its error, in order; ``build`` makes those of rows.

    Raises:
        Exception: the error of the source, after the results of all texts before it.
    """
    results = OrderedResults[Prediction | Exception]()
    for step in steps:
        completed: list[tuple[int, Prediction | Exception]] = [(f.identity, f.error) for f in step.failures]
        for exits in step.exits:
            completed += build(exits)
        for identity, result in completed:
            if (done := source.collect(identity, result)) is not None:
                results.add(*done)
        source.forget(step.identities)
        yield from results.pop_ready()
    source.raise_error()


def raise_errors(results: Generator[Prediction | Exception]) -> Iterator[Prediction]:
    """Yield the predictions before the first error, and raise it."""
    with closing(results):  # at once: an error that is kept keeps this frame, and with it the thread of a live stream
        for number, result in enumerate(results):
            if isinstance(result, Exception):
                raise name_text(result, number)
            yield result


def name_text(error: Exception, number: int) -> Exception:
    """Return an error of a text with its position in the input."""
    if not isinstance(error, InputError):
        return error
    name = f"text {number}"
    named = error if name in str(error) else type(error)(f"{name}: {error}")
    named.text = number
    return named


class TokenList:
    """A source of tokenised texts that are all in memory."""

    is_live = False

    def __init__(self, tokens: Sequence[Tokens]) -> None:
        self._tokens = tokens
        self.has_ended = False

    def read_block(self) -> Sequence[Tokens | ElbertError]:
        """Return all texts."""
        self.has_ended = True
        return self._tokens


class TextReader:
    """A source that reads and tokenises an iterable of texts block by block.

    An item that is no text, or that the tokenizer fails on, is its error; ``truncated`` has the numbers of the texts
    that were truncated, and ``sources`` texts and tokens where tokens are classified; the reader of the results
    removes them. An error of the iterable ends the source;
    :meth:`raise_error` raises it when the texts before it are done. A
    ``live`` iterable may itself wait for predictions before it yields the next text, as a program at the other end of
    a pipe does: it is read in a thread, and a block is whatever has arrived. :meth:`close` ends the thread.
    """

    def __init__(self, texts: Iterable[object], tokeniser: Tokeniser, *, live: bool = False) -> None:
        self._thread = ThreadedReader(texts) if live else None
        self._texts = iter(texts) if self._thread is None else self._thread
        self._tokeniser = tokeniser
        self._num_texts = 0
        self._error: Exception | None = None
        self.truncated: set[int] = set()
        self.sources: dict[int, tuple[str, Tokens]] = {}
        self._is_live = live
        self._has_ended = False

    @property
    def is_live(self) -> bool:
        """Whether :meth:`read_block` may have to wait."""
        return self._is_live

    @property
    def has_ended(self) -> bool:
        """Whether there are no more texts."""
        return self._has_ended

    def read_items(self) -> list[Text | ElbertError]:
        """Return the next texts: a full block, or those that a live source has ready; an empty list at the end."""
        items: list[Text | ElbertError] = []
        characters = 0
        try:
            for text in self._texts:
                items.append(check_item(text, self._num_texts + len(items)))
                characters += count_characters(text)
                if len(items) == BLOCK or characters >= BLOCK_CHARACTERS:
                    break
            self._has_ended = not items
        except EndOfSource:
            self._has_ended = True
        except Exception as error:
            self._error = error
            self._has_ended = True
        self._num_texts += len(items)
        return items

    def read_block(self) -> list[Tokens | ElbertError]:
        """Return the rows of the next texts."""
        first, items = self._num_texts, self.read_items()
        tokens = iter(self._tokeniser.encode_each([item for item in items if not isinstance(item, ElbertError)]))
        rows = [item if isinstance(item, ElbertError) else next(tokens) for item in items]
        self.sources.update(
            (number, (item, row))
            for number, (item, row) in enumerate(zip(items, rows, strict=True), first)
            if isinstance(row, Tokens) and isinstance(item, str) and row.pieces is not NO_PIECES
        )
        numbered = enumerate(rows, first)
        self.truncated.update(number for number, row in numbered if isinstance(row, Tokens) and row.truncated)
        return rows

    def collect(self, number: int, result: Prediction | Exception) -> tuple[int, Prediction | Exception] | None:
        """Return the number of a text and its result, once it is known, from the result of a row."""
        return number, result

    def forget(self, numbers: Iterable[int]) -> None:
        """Keep nothing about texts whose results have been read."""
        for number in numbers:
            self.truncated.discard(number)
            self.sources.pop(number, None)

    def raise_error(self) -> None:
        """Raise the error of the iterable, if there was one."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Read no more: the thread of a live source ends at the next item, and closes the iterable."""
        if self._thread is not None:
            self._thread.close()


def check_item(text: object, number: int) -> Text | ElbertError:
    """Return a text, or the error of an item that is no text."""
    try:
        return check_text(text, number)
    except InputError as error:
        return error


class EndOfSource(Exception):
    """The source of a :class:`ThreadedReader` has ended."""


class ThreadedReader(Generic[Item]):
    """Reads an iterable in a thread. Each iteration waits for one item, then yields all others that have arrived.

    It reads a block ahead: ``BLOCK`` items or ``BLOCK_CHARACTERS``. After :meth:`close` the thread takes at most one
    item more, closes the iterable if it can be closed, and ends.
    """

    def __init__(self, source: Iterable[Item]) -> None:
        self._items = deque[Item]()
        self._characters = 0
        self._end: BaseException | None = None  # EndOfSource, or the error of the source
        self._is_closed = False
        self._changed = Condition()
        self._process = os.getpid()
        Thread(target=self._read, args=(source,), daemon=True).start()

    def __iter__(self) -> Iterator[Item]:
        """Yield at least one item, and stop where the next would have to be waited for.

        Raises:
            EndOfSource: the source has ended.
            InputError: the process was forked since: the thread goes on in the parent only.
            BaseException: the error of the source.
        """
        if os.getpid() != self._process:
            raise InputError("this live stream began before the process was forked: start it in the child process")
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._end is not None)
            if not self._items and self._end is not None:
                raise self._end
        while self._items:
            with self._changed:
                item = self._items.popleft()
                self._characters -= count_characters(item)
                self._changed.notify_all()
            yield item

    def close(self) -> None:
        """Let the thread end."""
        if os.getpid() != self._process:
            return  # there is no thread, and the lock may have been copied while it was held
        with self._changed:
            self._is_closed = True
            self._items.clear()
            self._changed.notify_all()

    def _read(self, source: Iterable[Item]) -> None:
        end: BaseException = EndOfSource()
        try:
            iterator = iter(source)
            for item in iterator:
                if not self._add(item):
                    close = getattr(iterator, "close", None)
                    if close is not None:
                        close()
                    break
        except BaseException as error:  # also what is no Exception: the consumer waits for this thread
            end = error
        with self._changed:
            self._end = end
            self._changed.notify_all()

    def _add(self, item: Item) -> bool:
        """Add an item when there is room for it; returns whether more are to be read."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._has_room())
            if not self._is_closed:
                self._items.append(item)
                self._characters += count_characters(item)
                self._changed.notify_all()
            return not self._is_closed

    def _has_room(self) -> bool:
        return len(self._items) < BLOCK and self._characters < BLOCK_CHARACTERS
