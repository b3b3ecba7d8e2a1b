"""Driving the engine over an input: read, step, until both have come to their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Protocol

from elbert.engine.engine import Engine
from elbert.engine.requests import Failure, Left, Request
from elbert.errors import InputError
from elbert.exits import Policy
from elbert.text import Tokens


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
