"""What the parts of a step cost on this machine, each measured by itself: no run that is predicted is among them.

Layer, head and embedding: batches from which no row exits, in the plain loop. The host: an engine over a model that
computes nothing. Copies: tensors as wide as the model's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from statistics import mean, median

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls

from elbert.engine import Capacity, Engine, Request, SweepQueue
from elbert.exits import Policy, policy
from elbert.inference import admit
from elbert.inference.step import advance
from elbert.model import Backend
from elbert.model.layout import round_up
from elbert.tokenization import Tokens
from scripted import Scripted, script
from simulator.costs import HOST, Costs, Curve, curve
from simulator.replica import Step
from simulator.stopwatch import Hollow, Noted, Stopwatch

USUAL = 32  # tokens of a row
BATCHES = [(1, 4), (1, 8), (1, 16), (1, 24)]  # (rows, tokens of each)
BATCHES += [(rows, USUAL) for rows in (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 56, 64, 80, 96, 128)]
BATCHES += [(rows, 128) for rows in (1, 2, 4, 8, 16)] + [(rows, 8) for rows in (4, 16, 64, 128, 192)]
ALWAYS = [(32, USUAL)]  # rows and tokens of each, before and after every run
HOSTS = [(1, 2.3), (5, 2.0), (12, 4.0), (40, 3.0), (100, 2.5)]  # (rows of a call, mean depth): engines of their own
MOVED = (1, 32, 128, 512, 1024, 2048, 4096)  # tokens


def row_of(length: int, seed: int = 0) -> Tokens:
    """A text of so many tokens that every vocabulary has."""
    ids = [101 + (7 * i + 31 * seed) % 800 for i in range(length)]
    return Tokens(ids, [0] * length, truncated=False)


class Probes:
    """Measures the same things round after round; what disturbs a machine only adds, so the least round counts.

    Within a round it is the median of many calls.
    """

    def __init__(self, backend: Backend, chosen: Policy) -> None:
        self._backend = backend
        self._policy = chosen
        self._noted: dict[tuple[str, int, int, int], list[float]] = {}
        self._copies: dict[int, list[float]] = {size: [] for size in MOVED}
        self._steps: list[list[tuple[Step, float]]] = []
        self._entries: list[float] = []

    def round(self) -> None:
        """Measure everything once."""
        calls: dict[tuple[str, int, int, int], list[float]] = {}
        for noted in batches_of(self._backend, self._policy):
            calls.setdefault(noted[:4], []).append(noted.seconds)
        for call, seconds in calls.items():
            self._noted.setdefault(call, []).append(median(seconds))
        for size, copied in copies(self._backend):
            self._copies[size].append(copied)
        steps, entries = list[tuple[Step, float]](), list[float]()
        for rows, depth in HOSTS:
            entry, found = hosted(self._backend, self._policy, rows, depth)
            steps += found
            entries.append(entry)
        self._steps.append(steps)
        self._entries.append(median(entries))

    def pace(self) -> float:
        """Seconds of a layer call of :data:`ALWAYS` at this moment: a machine's speed changes while it is measured."""
        return mean(noted.seconds for noted in batches_of(self._backend, self._policy, ALWAYS) if noted.verb == "step")

    def costs(self) -> Costs:
        """Over the rounds so far."""
        calls = [Noted(*key, min(seconds)) for key, seconds in self._noted.items()]
        layer = by_tokens([call for call in calls if call.verb == "step" and usual(call)])
        return Costs(
            layer=layer,
            square=squares([call for call in calls if call.verb == "step" and not usual(call)], layer),
            usual=USUAL,
            head=by_rows([call for call in calls if call.verb == "read" and usual(call)]),
            embed=embedding([call for call in calls if call.verb == "embed"]),
            copy=curve(MOVED, [min(self._copies[size]) for size in MOVED]),
            host=host(self._steps),
            entry=min(self._entries),
        )


def usual(call: Noted) -> bool:
    """Whether its rows are of the length at which the layer's curve is measured."""
    return call.tokens == call.rows * USUAL or call.rows == 1 and call.tokens < USUAL


@torch.inference_mode()
def batches_of(
    backend: Backend, chosen: Policy, batches: Sequence[tuple[int, int]] = tuple(BATCHES)
) -> Iterator[Noted]:
    """Every batch, ``(rows, tokens of each)``, through the plain loop, to the last depth."""
    watch = Stopwatch(Scripted(backend, [backend.config.depths]))
    for count, length in batches:
        rows = admit([row_of(length, i) for i in range(count)], range(count), watch, chosen)
        while len(rows):
            rows, _ = advance(rows, watch)
    return iter(watch.noted)


@torch.inference_mode()
def copies(backend: Backend) -> Iterator[tuple[int, float]]:
    """Seconds to gather so many tokens of the model's hidden rows, beyond those of the hollow model's."""
    one = admit([row_of(4)], [0], backend, policy("full")).hidden
    wide, thin = one.new_zeros(max(MOVED), one.shape[1]), torch.zeros(max(MOVED), 1)
    for size in MOVED:
        index = torch.arange(size)
        yield size, max(0.0, timed(wide, index) - timed(thin, index))


def timed(hidden: torch.Tensor, index: torch.Tensor, times: int = 20) -> float:
    """Seconds of one gathering."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        hidden.index_select(0, index)
        taken.append(time.perf_counter() - begin)
    return median(taken)


def hosted(backend: Backend, chosen: Policy, rows: int, depth: float) -> tuple[float, list[tuple[Step, float]]]:
    """An engine over a hollow model: seconds to take a text in, and of every step without the model's calls."""
    config = backend.config
    watch = Stopwatch(Scripted(Hollow(config), script(depth, config.depths)))
    engine = Engine(watch, Capacity(rows, rows * USUAL), queue=SweepQueue())
    texts = [row_of(USUAL - i % 9, i) for i in range(12 * rows + 60)]
    begin = time.perf_counter()
    for identity, tokens in enumerate(texts):
        engine.submit(Request(identity, tokens, chosen))
    entry, steps = (time.perf_counter() - begin) / len(texts), list[tuple[Step, float]]()
    while len(engine):
        watch.noted.clear()
        begin = time.perf_counter()
        left = engine.step()
        seconds = time.perf_counter() - begin - watch.seconds
        call, gone = engine.last_call, left.identities
        if call is None:
            raise RuntimeError("an engine with rows made no call")
        length = [len(texts[identity].ids) for identity in call.started]
        out = sum(len(texts[identity].ids) for identity in gone)
        steps.append((Step(call.rows, call.tokens, 0, len(call.started), sum(length), len(gone), out), seconds))
    return entry, steps


def by_tokens(calls: Sequence[Noted]) -> Curve:
    """Layer calls by the size of the packed tensor."""
    found = {round_up(call.tokens): call.seconds for call in calls}
    sizes = sorted(found)
    return curve(sizes, [found[size] for size in sizes])


def by_rows(calls: Sequence[Noted]) -> Curve:
    """Head calls by rows."""
    found = {call.rows: call.seconds for call in calls if call.tokens == call.rows * USUAL}
    return curve(sorted(found), [found[rows] for rows in sorted(found)])


def squares(calls: Sequence[Noted], layer: Curve) -> float:
    """Seconds that attention takes for each squared token more than rows of the usual length have."""
    more = np.array([call.squares - call.tokens * min(call.tokens, USUAL) for call in calls], float)
    over = np.array([call.seconds - layer(round_up(call.tokens)) for call in calls])
    return float(more @ over / (more @ more))


def embedding(calls: Sequence[Noted]) -> tuple[float, float, float]:
    """Seconds of an embedding call, of each of its rows, of each of its tokens."""
    call, row, token = priced([[1.0, call.rows, call.tokens] for call in calls], [call.seconds for call in calls])
    return call, row, token


def host(rounds: Sequence[Sequence[tuple[Step, float]]]) -> dict[str, float]:
    """What each of :data:`HOST` costs; all rounds took the same steps."""
    steps = [step for step, _ in rounds[0]]
    of_rounds = zip(*([taken for _, taken in found] for found in rounds), strict=True)
    seconds = [
        sorted(taken)[len(taken) // 4] for taken in of_rounds
    ]  # one step is measured once a round: not the least
    return dict(zip(HOST, priced([[count(step) for count in HOST.values()] for step in steps], seconds), strict=True))


def priced(counts: Iterable[Sequence[float]], seconds: Sequence[float]) -> list[float]:
    """Prices, none negative, that explain the seconds best, in relative terms: small calls count like large ones."""
    share = 1 / np.array(seconds)
    matrix: NDArray[np.float64] = np.array(list(counts), float) * share[:, None]
    return [float(price) for price in nnls(matrix, np.ones(len(share)))[0]]
