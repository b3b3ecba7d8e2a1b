"""Texts that come to one replica or to a thousand, and how long they stay."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from simulator.replica import Replica, Text

Route = Iterator[Sequence[int]]  # for each text, the candidate replicas; the one with the fewest texts takes it


@dataclass(frozen=True)
class Served:
    """``stay [texts]``: from a text's arrival until its answer; ``seconds`` until the last; what calls looked like."""

    stay: NDArray[np.float64]
    seconds: float
    calls: int
    rows_a_call: float
    busy: float  # the share of its time that a replica works

    def latency(self, percent: float) -> float:
        """What so many percent of the texts stay at most."""
        return float(np.percentile(self.stay, percent))


def random_one(replicas: int, seed: int = 0) -> Route:
    """Any replica, as a load balancer without memory does."""
    return fewest_of(1, replicas, seed)


def turn_by_turn(replicas: int) -> Route:
    """One after another."""
    return cycle([number] for number in range(replicas))


def fewest_of(candidates: int, replicas: int, seed: int = 0) -> Route:
    """The replica with the fewest texts among a random sample of ``candidates`` of them."""
    draw = random.Random(seed)
    while True:
        yield draw.sample(range(replicas), candidates)


def serve(
    texts: Sequence[Text], comes: Sequence[float], replicas: Sequence[Replica], route: Route | None = None
) -> Served:
    """Serve texts that come at these moments, in order; all at 0 is bulk. One replica needs no ``route``."""
    left = np.zeros(len(texts))

    def work(replica: Replica, until: float) -> None:
        for moment, identity in replica.until(until):
            left[identity] = moment

    route = turn_by_turn(len(replicas)) if route is None else route
    for identity, (text, at) in enumerate(zip(texts, comes, strict=True)):
        candidates = [replicas[number] for number in next(route)]
        for replica in candidates:
            work(replica, at)
        min(candidates, key=len).enter(identity, text, at)
    for replica in replicas:
        work(replica, float("inf"))
    end, calls = max(replica.now for replica in replicas), sum(replica.calls for replica in replicas)
    return Served(
        stay=left - np.asarray(comes, float),
        seconds=end,
        calls=calls,
        rows_a_call=sum(replica.rows for replica in replicas) / calls,
        busy=sum(replica.busy for replica in replicas) / (len(replicas) * end),
    )
