"""What goes into the engine, and what comes out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elbert.errors import InputError
from elbert.exits import Policy
from elbert.inference import Exits
from elbert.tokenization import Tokens


class NoNumber(InputError):
    """The model answered NaN or infinity, which is no answer."""


@dataclass(frozen=True)
class Request:
    """One text to classify: the caller's number of it, its tokens, and the policy that lets it leave.

    ``deadline``, in seconds on the engine's clock, is when it leaves at the latest, with the best it has by then.
    ``remember`` keeps what every depth says of it.
    """

    identity: int
    tokens: Tokens
    policy: Policy
    deadline: float | None = None
    remember: bool = False


class Requests(tuple[Request, ...]):
    """Several requests."""

    def halves(self) -> tuple[Requests, Requests]:
        """The first half and the rest."""
        middle = len(self) // 2
        return Requests(self[:middle]), Requests(self[middle:])


@dataclass(frozen=True)
class Failure:
    """A request that could not be answered, and why."""

    identity: int
    error: Exception


@dataclass(frozen=True)
class Call:
    """A layer call: who started with it, how many rows and tokens took it, and the depth ``[rows]`` each came to."""

    started: tuple[int, ...]
    rows: int
    tokens: int
    depths: NDArray[np.int64]


@dataclass(frozen=True)
class Left:
    """Who left the engine in a step: with an answer, or without one."""

    exits: tuple[Exits, ...] = ()
    failures: tuple[Failure, ...] = ()

    def __add__(self, other: Left) -> Left:
        """Who left in either."""
        return Left((*self.exits, *other.exits), (*self.failures, *other.failures))

    @property
    def identities(self) -> list[int]:
        """Everybody who left."""
        answered = [identity for exits in self.exits for identity in exits.identity.tolist()]
        return [*answered, *(failure.identity for failure in self.failures)]

    def without(self, gone: Collection[int]) -> Left:
        """The same, but for some whom nobody wants to hear of."""
        if not gone:
            return self
        exits = (exits.keep(~np.isin(exits.identity, list(gone))) for exits in self.exits)
        failures = (failure for failure in self.failures if failure.identity not in gone)
        return Left(tuple(some for some in exits if len(some)), tuple(failures))


def answered(exits: Exits) -> Left:
    """Rows that left, told apart by whether what they say is an answer."""
    sound = np.isfinite(exits.probabilities).all(-1)
    if sound.all():
        return Left((exits,) if len(exits) else ())
    error = NoNumber("the model answered NaN for this text: a weight or an activation overflowed; try dtype float32")
    wrong = tuple(Failure(identity, error) for identity in exits.identity[~sound].tolist())
    return Left((exits.keep(sound),), wrong)
