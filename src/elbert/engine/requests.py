"""Inputs and results of the engine, and the retry of a failed call in halves, which finds the rows that cause it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from elbert.errors import InputError
from elbert.exits import Policy
from elbert.exits.list_rules import ListRule
from elbert.inference import Exits
from elbert.tokenization import Tokens


class RankedList:
    """A list whose rows are compared by one rule; the requests of its rows share this object."""

    def __init__(self, rule: ListRule) -> None:
        self.rule = rule


class NonFiniteOutput(InputError):
    """The model's output for a text is NaN or infinity."""


@dataclass(frozen=True)
class Request:
    """One text to classify: an identity chosen by the caller, the tokens, and the exit policy.

    ``deadline``, in seconds on the engine's clock, is when it exits at the latest, with the prediction of the depth
    reached by then. ``keep_trace`` keeps the probabilities of every depth. Requests of one ``flow`` share its turns
    (see :class:`~elbert.engine.scheduler.DeadlineQueue`). ``ranked_in`` is the list in which the text is ranked.
    """

    identity: int
    tokens: Tokens
    policy: Policy
    deadline: float | None = None
    keep_trace: bool = False
    flow: int | None = None
    ranked_in: RankedList | None = None


class Requests(tuple[Request, ...]):
    """Several requests, which :func:`run_bisecting` can halve."""

    def halve(self) -> tuple[Requests, Requests]:
        """Split into the first half and the rest."""
        middle = len(self) // 2
        return Requests(self[:middle]), Requests(self[middle:])


@dataclass(frozen=True)
class Failure:
    """A request without a prediction, and the reason."""

    identity: int
    error: Exception


@dataclass(frozen=True)
class LayerCall:
    """One layer call: the requests that started with it, its rows and tokens, and the new depth ``[rows]`` of each, of
    several layers that after the first."""

    started: tuple[int, ...]
    rows: int
    tokens: int
    depths: NDArray[np.int64]


@dataclass(frozen=True)
class StepResult:
    """The requests that a step completed: exits with predictions, and failures."""

    exits: tuple[Exits, ...] = ()
    failures: tuple[Failure, ...] = ()

    def __add__(self, other: StepResult) -> StepResult:
        """Concatenate two results."""
        if not self.exits and not self.failures:
            return other
        return StepResult((*self.exits, *other.exits), (*self.failures, *other.failures))

    @property
    def identities(self) -> list[int]:
        """All completed requests."""
        exited = [identity for exits in self.exits for identity in exits.identity.tolist()]
        return [*exited, *(failure.identity for failure in self.failures)]

    def without(self, identities: Collection[int]) -> StepResult:
        """Return the result without some requests."""
        if not identities:
            return self
        kept = (exits.keep(~np.isin(exits.identity, list(identities))) for exits in self.exits)
        failures = (failure for failure in self.failures if failure.identity not in identities)
        return StepResult(tuple(exits for exits in kept if len(exits)), tuple(failures))


def check_outputs(exits: Exits) -> StepResult:
    """Turn rows whose probabilities are NaN or infinity into failures."""
    is_finite = exits.find_finite()
    if is_finite.all():
        return StepResult((exits,) if len(exits) else ())
    error = NonFiniteOutput(
        "the model's output for this text is NaN or infinity: a weight or an activation overflowed; try dtype float32"
    )
    failures = tuple(Failure(identity, error) for identity in exits.identity[~is_finite].tolist())
    return StepResult((exits.keep(is_finite),), failures)


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
