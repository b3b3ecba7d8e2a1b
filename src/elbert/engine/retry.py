"""A call that fails is tried again in halves, so that a failure reaches exactly the rows that it concerns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self, TypeVar


class Several(Protocol):
    """Something that can be halved."""

    def __len__(self) -> int:
        """How many there are."""

    def halves(self) -> tuple[Self, Self]:
        """The first half and the rest."""


Some = TypeVar("Some", bound=Several)
Result = TypeVar("Result")


def surviving(some: Some, attempt: Callable[[Some], Result]) -> tuple[list[Result], list[tuple[Some, Exception]]]:
    """The results of all that can be done, and what cannot, one by one, each with its error.

    Costs nothing where nothing fails; one bad row among n costs 2 log2 n calls.
    """
    try:
        return [attempt(some)], []
    except Exception as error:
        if len(some) == 1:
            return [], [(some, error)]
    first, rest = (surviving(half, attempt) for half in some.halves())
    return [*first[0], *rest[0]], [*first[1], *rest[1]]
