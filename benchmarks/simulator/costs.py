"""How long a step takes: a plain line, or what was measured on a machine."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from elbert.model.layout import round_up
from simulator.replica import Step

# What a step asks of the host besides the model's calls: a measured price for each.
HOST = {
    "step": lambda step: 1,
    "row": lambda step: step.rows,
    "some start": lambda step: step.started > 0,
    "start": lambda step: step.started,
    "joins": lambda step: step.joins,
    "some leave": lambda step: step.left > 0,
    "leave": lambda step: step.left,
    "keeps": lambda step: step.keeps,
    "moved token": lambda step: step.moved,
}


class Timed(NamedTuple):
    """A step that was taken: when it began, and its seconds."""

    step: Step
    at: float
    seconds: float


@dataclass(frozen=True)
class Line:
    """``a + b n`` for a call of n rows, and nothing else costs anything: the clock of the closed forms."""

    a: float
    b: float
    entry: float = 0.0

    def step(self, step: Step, at: float = 0.0) -> float:
        """One step of the engine."""
        return self.a + self.b * step.rows


@dataclass(frozen=True)
class Curve:
    """Seconds measured at some sizes, a straight line from each to the next, and beyond the last one."""

    at: tuple[int, ...]
    seconds: tuple[float, ...]

    def __call__(self, size: int) -> float:
        """Seconds at a size."""
        if size < len(self._table):
            return self._table[size]
        if len(self.at) == 1:
            return self.seconds[0] * size / self.at[0]
        slope = (self.seconds[-1] - self.seconds[-2]) / (self.at[-1] - self.at[-2])
        return self.seconds[-1] + slope * (size - self.at[-1])

    @cached_property
    def _table(self) -> list[float]:
        return list(map(float, np.interp(np.arange(self.at[-1] + 1), self.at, self.seconds)))


@dataclass(frozen=True)
class Costs:
    """Measured seconds of a step's parts.

    ``layer`` by tokens of packed tensors, where rows have ``usual`` tokens; ``square`` for each squared token more;
    ``head`` by rows; ``embed``: of a call, a row, a token; ``copy`` by tokens moved; ``host`` by :data:`HOST`.
    """

    layer: Curve
    square: float
    usual: int
    head: Curve
    embed: tuple[float, float, float]
    copy: Curve
    host: Mapping[str, float]
    entry: float
    reads_head: bool = True  # whether the head is read at every depth

    def step(self, step: Step, at: float = 0.0) -> float:
        """One step of the engine."""
        seconds = self.call(step.tokens, step.squares)
        seconds += self.head(step.rows) if self.reads_head else 0.0
        if step.started:
            per_call, per_row, per_token = self.embed
            seconds += per_call + per_row * step.started + per_token * step.started_tokens
        if step.moved:
            seconds += self.copy(step.moved)
        return seconds + sum(self.host[name] * count(step) for name, count in HOST.items())

    def call(self, tokens: int, squares: int) -> float:
        """A layer call."""
        return self.layer(round_up(tokens)) + self.square * (squares - tokens * min(tokens, self.usual))

    def to_dict(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Costs:
        """From a file."""
        curves = {name: curve(**values[name]) for name in ("layer", "head", "copy")}
        return cls(**(dict(values) | curves | {"embed": tuple(values["embed"])}))


@dataclass(frozen=True)
class Paced:
    """The same costs on a machine whose speed changes.

    In each ``window`` of seconds everything takes that window's ``paces`` times as long; after the last one, as in it.
    """

    costs: Costs
    paces: tuple[float, ...]
    window: float = math.inf

    @property
    def entry(self) -> float:
        """To take one text in."""
        return self.costs.entry * self.paces[0]

    def step(self, step: Step, at: float) -> float:
        """One step of the engine."""
        return self.costs.step(step) * self.paces[min(int(at / self.window), len(self.paces) - 1)]

    @classmethod
    def following(cls, costs: Costs, steps: Sequence[Timed], window: float) -> Paced:
        """The speed that a machine had while it took these steps: their seconds, by what they cost, in each window."""
        took: dict[int, float] = defaultdict(float)
        cost: dict[int, float] = defaultdict(float)
        for step, at, seconds in steps:
            took[int(at / window)] += seconds
            cost[int(at / window)] += costs.step(step)
        paces = [1.0]
        for number in range(1 + max(took)):
            paces.append(took[number] / cost[number] if number in took else paces[-1])
        return cls(costs, tuple(paces[1:]), window)


def curve(at: Sequence[int], seconds: Sequence[float]) -> Curve:
    """A curve from lists."""
    return Curve(tuple(at), tuple(seconds))
