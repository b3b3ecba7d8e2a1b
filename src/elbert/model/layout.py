"""Packed rows: ``[tokens, width]``, the tokens of one row after another, no padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Where each row's tokens lie in a packed tensor. ``lengths [rows]``: tokens of each row, at least one."""

    lengths: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device | str = "cpu") -> Layout:
        """The layout of rows of these lengths."""
        return cls(torch.tensor(lengths, dtype=torch.long, device=device))

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.lengths)

    @cached_property
    def tokens(self) -> int:
        """How many tokens all rows have together."""
        return int(self.lengths.sum())

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return int(self.lengths.max()) if len(self) else 0

    @cached_property
    def starts(self) -> Tensor:
        """``[rows]``: where each row's first token, [CLS], lies."""
        return self.lengths.cumsum(0) - self.lengths

    @cached_property
    def row(self) -> Tensor:
        """``[tokens]``: the row that each token belongs to."""
        return torch.arange(len(self), device=self.lengths.device).repeat_interleave(self.lengths)

    @cached_property
    def position(self) -> Tensor:
        """``[tokens]``: the position of each token in its row, from 0."""
        return torch.arange(self.tokens, device=self.lengths.device) - self.starts[self.row]

    @cached_property
    def even(self) -> bool:
        """Whether all rows are of one length, so that packed and padded are the same thing."""
        return self.tokens == len(self) * self.longest

    @cached_property
    def mask(self) -> Tensor | None:
        """``[rows, 1, 1, longest]`` bool, true at real tokens; None where there is no padding."""
        if self.even:
            return None
        places = torch.arange(self.longest, device=self.lengths.device)
        return (places < self.lengths.unsqueeze(-1))[:, None, None, :]

    def pad(self, packed: Tensor) -> Tensor:
        """``[tokens, ...] -> [rows, longest, ...]``, zeros after each row's end."""
        if self.even:
            return packed.view(len(self), self.longest, *packed.shape[1:])
        padded = packed.new_zeros(len(self) * self.longest, *packed.shape[1:])
        padded[self._places] = packed
        return padded.view(len(self), self.longest, *packed.shape[1:])

    def pack(self, padded: Tensor) -> Tensor:
        """``[rows, longest, ...] -> [tokens, ...]``."""
        flat = padded.reshape(len(self) * self.longest, *padded.shape[2:])
        return flat if self.even else flat[self._places]

    def mean(self, packed: Tensor) -> Tensor:
        """``[tokens, width] -> [rows, width]``: the mean of each row's tokens."""
        total = packed.new_zeros(len(self), packed.shape[1], dtype=torch.float32)
        return total.index_add_(0, self.row, packed.float()) / self.lengths.unsqueeze(-1)

    def keep(self, index: Tensor) -> tuple[Layout, Tensor]:
        """The layout of the rows ``index [kept]``, and where their tokens lie in this one ``[kept tokens]``."""
        kept = Layout(self.lengths[index])
        return kept, self.starts[index][kept.row] + kept.position

    @cached_property
    def _places(self) -> Tensor:
        return self.row * self.longest + self.position
