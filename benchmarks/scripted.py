"""Exits by a script: a real model computes everything, and rows exit at depths that were fixed beforehand.

The script travels with the row, in the first value of its [CLS] token, counted down by every layer; when it reaches 0
the head's logits are made certain. So layer, head, trace and policy cost what they cost, whatever the weights are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from elbert.exits import STAY, Policy, policy
from elbert.model import Backend, Layout
from elbert.model.native import Live
from elbert.tokenization import Tokens
from wrapped import Wrapped

POLICY = "window(entropy=0.1, size=6)"  # its second stage never fires here: undecided logits have no gap
NEVER = "window(entropy=0, size=6, margin=0.5)"  # costs what POLICY costs, and never fires, whatever the weights are


def script_policies(tokens: Sequence[Tokens], depths: Sequence[int]) -> list[Policy]:
    """A policy for each text that ends it at ``depths[sum of its ids modulo their number]`` and costs what
    :data:`POLICY` costs; for backends as they are."""
    policies = {depth: policy(f"{NEVER} | depth({depth})") for depth in set(depths)}
    return [policies[depths[sum(text.ids) % len(depths)]] for text in tokens]


class Scripted(Wrapped):
    """A backend whose rows exit at ``depths[sum of their ids modulo their number]``."""

    def __init__(self, backend: Backend, depths: Sequence[int]) -> None:
        super().__init__(backend)
        self._depths = torch.tensor(depths, device=backend.device)

    def embed(self, ids: Tensor, type_ids: Tensor, layout: Layout) -> Tensor:
        """``[tokens] -> [tokens, width]``, with the script in it."""
        hidden = self._backend.embed(ids, type_ids, layout)
        sums = torch.zeros(len(layout), dtype=torch.long, device=ids.device).index_add_(0, layout.row, ids)
        return self._with(hidden, layout, self._depths[sums % len(self._depths)].to(hidden.dtype))

    def step(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[tokens, width] -> [tokens, width]``."""
        left = self._left(hidden, layout)
        return self._with(self._backend.step(hidden, layout, group), layout, left - 1)

    def read(self, hidden: Tensor, layout: Layout, head: int) -> Tensor:
        """``[tokens, width] -> [rows, classes]``."""
        logits = self._backend.read(hidden, layout, head)
        logits.zero_()
        logits[:, 0] = (self._left(hidden, layout) <= 0) * 20.0
        return logits

    @property
    def can_advance(self) -> bool:
        """Whether the backend computes and decides in one call."""
        return bool(getattr(type(self._backend), "can_advance", False)) and self._backend.can_advance

    def advance(self, hidden: Tensor, layout: Layout, group: int, head: int, live: Live) -> Tensor:
        """:meth:`step`, with the script's decisions in place of those that the backend makes."""
        left = self._left(hidden, layout) - 1
        live.layers = 1
        hidden = self._with(self._backend.advance(hidden, layout, group, head, live), layout, left)
        is_exit = (left <= 0).numpy()
        live.decision[:] = np.where(is_exit, 0, STAY)
        live.struct.exits = int(is_exit.sum())
        return hidden

    def _left(self, hidden: Tensor, layout: Layout) -> Tensor:
        return hidden[:, 0].index_select(0, layout.starts)

    def _with(self, hidden: Tensor, layout: Layout, left: Tensor) -> Tensor:
        hidden[:, 0].index_copy_(0, layout.starts, left)
        return hidden


def script(mean: float, deepest: int, number: int = 97, seed: int = 0) -> list[int]:
    """``number`` exit depths from 1 to ``deepest`` of that mean: most rows exit early, some late, as in real data."""
    rng = random.Random(seed)
    depths = [1 + min(int(rng.expovariate(1 / max(mean - 1, 1e-9))), deepest - 1) for _ in range(number)]
    while abs(sum(depths) / number - mean) > 0.5 / number:  # the tail was cut off: nudge until the mean is right
        at = rng.randrange(number)
        depths[at] = min(deepest, max(1, depths[at] + (1 if sum(depths) / number < mean else -1)))
    return depths
