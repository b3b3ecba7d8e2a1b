"""Retry by bisection: a batch that fails is run again in halves, until only the rows at fault fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self, TypeVar


class Batch(Protocol):
    """A batch that can be halved."""

    def __len__(self) -> int:
        """Number of items."""

    def halve(self) -> tuple[Self, Self]:
        """Split into the first half and the rest."""


AnyBatch = TypeVar("AnyBatch", bound=Batch)
Result = TypeVar("Result")


def run_bisecting(
    batch: AnyBatch, run: Callable[[AnyBatch], Result]
) -> tuple[list[Result], list[tuple[AnyBatch, Exception]]]:
    """Return the results of the parts that succeed, and each single item that fails, with its error.

    It costs nothing where no call fails; one bad item among n costs 2 log2 n calls.
    """
    try:
        return [run(batch)], []
    except Exception as error:
        if len(batch) == 1:
            return [], [(batch, error)]
    first, rest = (run_bisecting(half, run) for half in batch.halve())
    return [*first[0], *rest[0]], [*first[1], *rest[1]]
