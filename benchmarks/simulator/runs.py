"""Real runs of the engine, and the same texts through the simulator."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from elbert import Classifier
from elbert.classifier import REFILL
from elbert.engine import ArrivalQueue, Capacity, Engine, Request, SweepQueue
from elbert.exits import Policy
from elbert.model import Backend
from elbert.tokenization import Tokens
from others import Way, run
from scripted import Scripted
from shapes import texts_of
from simulator.costs import Timed
from simulator.fleet import Served, serve
from simulator.replica import Clock, Replica, Text, step_of

Taken = tuple[Sequence[int], Sequence[int], float, float]  # which started, which exited, when the step began and ended


@dataclass(frozen=True)
class Work:
    """Texts whose exits are scripted: tokens for the engine, lengths and depths for the simulator."""

    tokens: Sequence[Tokens]
    texts: Sequence[Text]
    backend: Backend

    @classmethod
    def of(cls, classifier: Classifier, lengths: Sequence[int], depths: Sequence[int]) -> Work:
        """Texts of these lengths, in tokens; its tokens decide the depth of each."""
        words = [texts_of(length - 2, 1, seed)[0] for seed, length in enumerate(lengths)]
        tokens = classifier.tokeniser.encode(words)
        texts = [Text(len(each.ids), depths[sum(each.ids) % len(depths)]) for each in tokens]
        return cls(tokens, texts, Scripted(classifier.backend, depths))

    @property
    def mean_depth(self) -> float:
        """Of all texts."""
        return sum(text.depth for text in self.texts) / len(self.texts)


def in_bulk(work: Work, chosen: Policy, capacity: Capacity) -> Served:
    """The engine with everything there at once, as ``Classifier`` runs it."""
    begin = time.perf_counter()
    engine = Engine(work.backend, capacity, queue=SweepQueue(), refill=REFILL)
    for identity, each in enumerate(work.tokens):
        engine.submit(Request(identity, each, chosen))
    calls = rows = 0
    while len(engine):
        engine.step()
        calls, rows = calls + 1, rows + (0 if engine.last_call is None else engine.last_call.rows)
    seconds = time.perf_counter() - begin
    return Served(np.full(len(work.tokens), seconds), seconds, calls, rows / calls, 1.0)


def as_they_come(work: Work, chosen: Policy, capacity: Capacity, comes: Sequence[float]) -> tuple[Served, list[Timed]]:
    """The engine with texts that come at these moments, whatever became of those before; stays count from then.

    With it every step, as the simulator would have it: all live rows are in every call.
    """
    engine, left = Engine(work.backend, capacity, queue=ArrivalQueue()), np.zeros(len(comes))
    entered, taken = 0, list[Taken]()
    begin = time.perf_counter()
    while entered < len(comes) or len(engine):
        now = time.perf_counter() - begin
        while entered < len(comes) and comes[entered] <= now:
            engine.submit(Request(entered, work.tokens[entered], chosen))
            entered += 1
        if not len(engine):
            continue  # a thread that sleeps wakes up late: this one looks at the clock
        gone = engine.step().identities
        ended = time.perf_counter() - begin
        left[gone] = ended
        taken.append((engine.last_call.started if engine.last_call else (), gone, now, ended))
    steps = list(timed(work.texts, taken))
    end, rows, busy = float(left.max()), sum(t.step.rows for t in steps), sum(t.seconds for t in steps)
    return Served(left - np.asarray(comes), end, len(steps), rows / len(steps), busy / end), steps


def timed(texts: Sequence[Text], taken: Iterable[Taken]) -> Iterator[Timed]:
    """Every step with what it had to do; worked out afterwards, since between two steps a text would wait for it."""
    live = set[int]()
    for started, gone, began, ended in taken:
        live.update(started)
        rows, new, left = (map(texts.__getitem__, some) for some in (live, started, gone))
        yield Timed(step_of(rows, new, left), began, ended - began)
        live.difference_update(gone)


def in_batches(work: Work, chosen: Policy, size: int, way: Way) -> float:
    """Seconds of all texts, by another way, on the same backend."""
    begin = time.perf_counter()
    run(way, work.tokens, work.backend, chosen, size)
    return time.perf_counter() - begin


def predicted(work: Work, clock: Clock, capacity: Capacity, comes: Sequence[float] | None = None) -> Served:
    """What the simulator predicts for :func:`in_bulk`, or with ``comes`` of :func:`as_they_come`."""
    weights_keys = [work.backend.config.weights_key(depth) for depth in range(work.backend.config.depths)]
    if comes is None:
        replica = Replica(capacity, clock, weights_keys, queue=SweepQueue(), refill=REFILL)
        return serve(work.texts, [0.0] * len(work.texts), [replica])
    return serve(work.texts, comes, [Replica(capacity, clock, weights_keys, queue=ArrivalQueue())])
