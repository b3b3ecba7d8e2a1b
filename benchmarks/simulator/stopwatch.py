"""Backends to measure with: one that notes how long its calls take, and one that computes nothing."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor

from elbert.model import Backend, Layout, ModelConfig
from wrapped import Wrapped


class Noted(NamedTuple):
    """One call of a backend: which verb, of how many rows, tokens and squared lengths, and its seconds."""

    verb: str
    rows: int
    tokens: int
    squares: int
    seconds: float


class Stopwatch(Wrapped):
    """Another backend, every call of which is noted."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.noted: list[Noted] = []

    @property
    def seconds(self) -> float:
        """All calls so far together."""
        return sum(noted.seconds for noted in self.noted)

    def embed(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``[tokens] -> [room, width]``."""
        begin = time.perf_counter()
        hidden = self._backend.embed(ids, type_ids, layout)
        self._note("embed", layout, begin)
        return hidden

    def step(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[room, width] -> [room, width]``."""
        begin = time.perf_counter()
        hidden = self._backend.step(hidden, layout, group)
        self._note("step", layout, begin)
        return hidden

    def read(self, hidden: Tensor, layout: Layout, head: int) -> Tensor:
        """``[room, width] -> [rows, classes]``."""
        begin = time.perf_counter()
        logits = self._backend.read(hidden, layout, head)
        self._note("read", layout, begin)
        return logits

    def _note(self, verb: str, layout: Layout, begin: float) -> None:
        seconds = time.perf_counter() - begin
        self.noted.append(Noted(verb, len(layout), layout.tokens, int((layout.lengths**2).sum()), seconds))


class Hollow:
    """A model of width 1 that computes nothing: what an engine takes with it is the host's work."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.device = torch.device("cpu")

    def embed(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``[tokens] -> [room, 1]``."""
        return torch.zeros(layout.size, 1)

    def step(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[room, 1] -> [room, 1]``."""
        return hidden

    def read(self, hidden: Tensor, layout: Layout, head: int) -> Tensor:
        """``[room, 1] -> [rows, classes]``."""
        return torch.zeros(len(layout), len(self.config.labels))
