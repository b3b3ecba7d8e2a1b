"""Packed rows: ``[tokens, width]``, the tokens of one row after another, no padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Where each row's tokens lie in a packed tensor. ``lengths [rows]``: tokens of each row, at least one.

    The lengths are on the host: what follows from them is worked out there, and reaches ``device`` once. A packed
    tensor has ``size`` tokens, a few more than the rows need; the filler at its end belongs to no row.
    """

    lengths: Ints
    device: torch.device

    @classmethod
    def from_lengths(cls, lengths: Sequence[int] | NDArray[Any], device: torch.device | str = "cpu") -> Layout:
        """The layout of rows of these lengths."""
        return cls(np.asarray(lengths, np.int64), torch.device(device))

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.lengths)

    @cached_property
    def tokens(self) -> int:
        """How many tokens all rows have together."""
        return int(self.lengths.sum())

    @cached_property
    def size(self) -> int:
        """Tokens that packed tensors have: a number that comes again.

        For every new number of tokens oneDNN prepares a product anew, which takes as long as the product itself and
        keeps up to a megabyte; on a CUDA device every number asks for a recording of its own.
        """
        return round_up(self.tokens)

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return int(self.lengths.max()) if len(self) else 0

    @cached_property
    def bounds(self) -> Tensor:
        """``[rows + 1]``: where each row's first token lies, and the end of the last."""
        return self.to_device(self._bounds)

    @cached_property
    def spans(self) -> Tensor:
        """``[rows + 1]``, or one more: the same, and the filler as if it were a row."""
        add_filler = self._bounds if self.size == self.tokens else np.append(self._bounds, self.size)
        return self.to_device(add_filler)

    @cached_property
    def starts(self) -> Tensor:
        """``[rows]``: where each row's first token, [CLS], lies."""
        return self.bounds[:-1]

    @cached_property
    def row(self) -> Tensor:
        """``[tokens]``: the row that each token belongs to."""
        return self.to_device(np.repeat(np.arange(len(self)), self.lengths))

    @cached_property
    def position(self) -> Tensor:
        """``[tokens]``: the position of each token in its row, from 0."""
        return self.to_device(np.arange(self.tokens) - np.repeat(self._bounds[:-1], self.lengths))

    @cached_property
    def is_even(self) -> bool:
        """Whether all rows are of one length, so that packed and padded are the same thing."""
        return self.tokens == len(self) * self.longest

    @cached_property
    def mask(self) -> Tensor | None:
        """``[rows, 1, 1, longest]`` bool, true at real tokens; None where there is no padding."""
        if self.is_even:
            return None
        return self.to_device(np.arange(self.longest) < self.lengths[:, None])[:, None, None, :]

    def pad(self, packed: Tensor) -> Tensor:
        """``[room, ...] -> [rows, longest, ...]``, zeros after each row's end."""
        packed = packed[: self.tokens]
        if self.is_even:
            return packed.view(len(self), self.longest, *packed.shape[1:])
        padded = packed.new_zeros(len(self) * self.longest, *packed.shape[1:])
        padded[self._places] = packed
        return padded.view(len(self), self.longest, *packed.shape[1:])

    def pack(self, padded: Tensor) -> Tensor:
        """``[rows, longest, ...] -> [room, ...]``, zeros as filler."""
        flat = padded.reshape(len(self) * self.longest, *padded.shape[2:])
        return self.add_filler(flat if self.is_even else flat[self._places])

    def add_filler(self, tokens: Tensor) -> Tensor:
        """``[tokens, ...] -> [room, ...]``, zeros as filler."""
        missing = self.size - self.tokens
        return torch.cat((tokens, tokens.new_zeros(missing, *tokens.shape[1:]))) if missing else tokens

    def mean(self, packed: Tensor) -> Tensor:
        """``[room, width] -> [rows, width]``: the mean of each row's tokens."""
        total = packed.new_zeros(len(self), packed.shape[1], dtype=torch.float32)
        return total.index_add_(0, self.row, packed[: self.tokens].float()) / self.to_device(self.lengths).unsqueeze(-1)

    def keep(self, index: Ints) -> tuple[Layout, Tensor]:
        """The layout of the rows ``index [kept]``, and where their tokens lie in this one ``[kept room]``."""
        kept = Layout(self.lengths[index], self.device)
        shift = self._bounds[:-1][index] - kept._bounds[:-1]
        tokens = np.empty(kept.size, np.int64)
        tokens[: kept.tokens] = np.arange(kept.tokens) + np.repeat(shift, kept.lengths)
        tokens[kept.tokens :] = tokens[:1]  # any of its own tokens will do as filler
        return kept, self.to_device(tokens)

    def to_device(self, array: NDArray[Any]) -> Tensor:
        """An array of the host on the device; on an accelerator without waiting for it."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    @cached_property
    def _bounds(self) -> Ints:
        bounds = np.zeros(len(self) + 1, np.int64)
        np.cumsum(self.lengths, out=bounds[1:])
        return bounds

    @cached_property
    def _places(self) -> Tensor:
        return self.row * self.longest + self.position


def round_up(size: int) -> int:
    """Up to the next multiple of a sixteenth of the power of two below: few sizes, and at most a sixteenth more."""
    grain = 1 << max(0, size.bit_length() - 5)
    return -(-size // grain) * grain
