"""Run the engine over an input of any length: read ahead, submit, step, return results in input order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count, islice
from queue import Empty, Queue
from threading import Thread
from typing import Generic, Protocol, TypeVar

from elbert.engine.engine import Engine
from elbert.engine.requests import Failure, Left, Request
from elbert.errors import InputError
from elbert.exits import Policy
from elbert.texts import Text, checked
from elbert.tokenization import Tokeniser, Tokens

Item = TypeVar("Item")


class End(Exception):
    """The source has ended, or failed with its cause."""


class Live(Generic[Item]):
    """Items as they come: waits for one, then gives whatever else is there."""

    def __init__(self, source: Iterable[Item], most: int) -> None:
        """Hold at most ``most`` items that nobody has taken."""
        self._items: Queue[Item | End] = Queue(most)
        Thread(target=self._read, args=(source,), daemon=True).start()

    def __iter__(self) -> Iterator[Item]:
        """The items that are there, the first of them waited for; fewer than asked for means: no more for now."""
        item = self._items.get()
        while True:
            if isinstance(item, End):
                self._items.put(item)  # it stays the end
                if item.__cause__ is not None:
                    raise item.__cause__
                raise item
            yield item
            try:
                item = self._items.get_nowait()
            except Empty:
                return

    def _read(self, source: Iterable[Item]) -> None:
        end = End()
        try:
            for item in source:
                self._items.put(item)
        except Exception as error:
            end.__cause__ = error
        self._items.put(end)


BLOCK = 2048  # texts read and tokenised at once: enough to sort by length, and to keep all cores tokenising


class Ahead:
    """Blocks of tokenised texts; what their source raises is kept until everything before it is done.

    A ``live`` source may itself wait for answers before it gives the next text, as a person or a program at the other
    end of a pipe does: it is read in a thread, and what has come is taken.
    """

    def __init__(self, texts: Iterable[object], tokeniser: Tokeniser, *, live: bool = False) -> None:
        source = (checked(text, number) for number, text in enumerate(texts))
        self._source: Iterable[Text] = Live(source, BLOCK) if live else source
        self._tokeniser = tokeniser
        self._error: Exception | None = None
        self.slow = live  # whoever has work should do it before a block is waited for
        self.ended = False

    def block(self) -> list[Tokens]:
        """The next texts: as many as a block holds, or as a live source has ready; none at the end."""
        texts: list[Text] = []
        try:
            for text in islice(self._source, BLOCK):
                texts.append(text)
            self.ended = not texts
        except End:
            self.ended = True
        except Exception as error:
            self._error = error
            self.ended = True
        return self._tokeniser.encode(texts)

    def complain(self) -> None:
        """Raise what the source raised, if it did."""
        if self._error is not None:
            raise self._error


Answer = TypeVar("Answer")


class InOrder(Generic[Answer]):
    """Holds answers by their number, from 0, until all before them are there."""

    def __init__(self) -> None:
        self._held: dict[int, Answer] = {}
        self._due = 0

    def add(self, number: int, answer: Answer) -> None:
        """An answer is there."""
        self._held[number] = answer

    def due(self) -> Iterator[Answer]:
        """The answers whose turn has come."""
        while self._due in self._held:
            self._due += 1
            yield self._held.pop(self._due - 1)


class Source(Protocol):
    """Where tokenised texts come from, block by block."""

    @property
    def slow(self) -> bool:
        """Whether the next block may have to be waited for."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more."""

    def block(self) -> Sequence[Tokens]:
        """The next texts."""


class Whole:
    """Tokenised texts that are all there."""

    slow = False

    def __init__(self, tokens: Sequence[Tokens]) -> None:
        self._tokens = tokens
        self.ended = False

    def block(self) -> Sequence[Tokens]:
        """All of them."""
        self.ended = True
        return self._tokens


def drive(
    engine: Engine,
    source: Source,
    policy: Policy,
    *,
    enough: int,
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Left]:
    """Who leaves, step by step; identities count the texts from 0.

    Reads on when fewer than ``enough`` texts wait, but from a slow source only when nobody else is to be served.
    ``within`` surrounds every step.
    """
    numbers = count()
    while True:
        hungry = engine.waiting < enough and not (source.slow and len(engine))
        if hungry and not source.ended:
            yield from submit(engine, [Request(next(numbers), tokens, policy) for tokens in source.block()])
        if len(engine):
            with within():
                left = engine.step()
            yield left
        elif source.ended:
            return


def submit(engine: Engine, requests: Sequence[Request]) -> Iterator[Left]:
    """Hand the requests in; those that the engine does not take leave at once."""
    for request in requests:
        try:
            engine.submit(request)
        except InputError as error:
            yield Left(failures=(Failure(request.identity, error),))
