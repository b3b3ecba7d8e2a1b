"""Answers that come in any order, given on in the order of the questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

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
