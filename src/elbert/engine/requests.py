"""What goes into the engine, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elbert.depth import Exits
from elbert.errors import InputError
from elbert.exits import Policy
from elbert.text import Tokens


@dataclass(frozen=True)
class Request:
    """One text to classify: the caller's number of it, its tokens, and the policy that lets it leave."""

    identity: int
    tokens: Tokens
    policy: Policy


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


def answered(exits: Exits) -> Left:
    """Rows that left, told apart by whether what they say is an answer."""
    sound = np.isfinite(exits.probabilities).all(-1)
    if sound.all():
        return Left((exits,) if len(exits) else ())
    error = InputError("the model answered NaN for this text: a weight or an activation overflowed; try dtype float32")
    wrong = tuple(Failure(identity, error) for identity in exits.identity[~sound].tolist())
    return Left((exits.keep(sound),), wrong)
