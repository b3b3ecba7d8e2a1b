"""The layout of packed rows: ``[tokens, width]``, the rows' tokens one after another, without padding."""

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
    """The position of each row's tokens in a packed tensor.

    ``lengths [rows]`` is the number of tokens of each row, at least one. It is on the host: index tensors are computed
    there and copied to ``device`` once. A packed tensor has ``size`` tokens, a few more than the rows need; the filler
    tokens at its end belong to no row.
    """

    lengths: Ints
    device: torch.device

    @classmethod
    def from_lengths(cls, lengths: Sequence[int] | NDArray[Any], device: torch.device | str = "cpu") -> Layout:
        """Create the layout of rows with these numbers of tokens."""
        return cls(np.asarray(lengths, np.int64), device if isinstance(device, torch.device) else torch.device(device))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lengths)

    @cached_property
    def tokens(self) -> int:
        """The number of tokens of all rows together, without filler."""
        return int(self.lengths.sum())

    @cached_property
    def size(self) -> int:
        """The number of tokens of a packed tensor, filler included: ``tokens`` rounded up, so that sizes recur.

        For every new size, oneDNN prepares the product again, which takes as long as the product itself and keeps up
        to a megabyte of memory. On a CUDA device every size needs a separate graph recording.
        """
        return round_up(self.tokens)

    @cached_property
    def longest(self) -> int:
        """The number of tokens of the longest row; 0 without rows."""
        return int(self.lengths.max()) if len(self) else 0

    @cached_property
    def bounds(self) -> Tensor:
        """``[rows + 1]``: the index of each row's first token, then the end of the last row."""
        return self.to_device(self._bounds)

    @cached_property
    def spans(self) -> Tensor:
        """``bounds``, with the filler as one more row if there is any: ``[rows + 1]`` or ``[rows + 2]``."""
        spans = self._bounds if self.size == self.tokens else np.append(self._bounds, self.size)
        return self.to_device(spans)

    @cached_property
    def starts(self) -> Tensor:
        """``[rows]``: the index of each row's first token, [CLS]."""
        return self.bounds[:-1]

    @cached_property
    def row(self) -> Tensor:
        """``[tokens]``: the index of the row that each token belongs to."""
        return self.to_device(np.repeat(np.arange(len(self)), self.lengths))

    @cached_property
    def position(self) -> Tensor:
        """``[tokens]``: the position of each token in its row, from 0."""
        return self.to_device(np.arange(self.tokens) - np.repeat(self._bounds[:-1], self.lengths))

    @cached_property
    def is_even(self) -> bool:
        """Whether all rows have the same length, so that the packed and the padded form are equal."""
        return self.tokens == len(self) * self.longest

    @cached_property
    def mask(self) -> Tensor | None:
        """``[rows, 1, 1, longest]`` bool, true at real tokens; None if the padded form has no padding."""
        if self.is_even:
            return None
        return self.to_device(np.arange(self.longest) < self.lengths[:, None])[:, None, None, :]

    def pad(self, packed: Tensor) -> Tensor:
        """``[size, ...] -> [rows, longest, ...]``, with zeros after each row's last token."""
        packed = packed[: self.tokens]
        if self.is_even:
            return packed.view(len(self), self.longest, *packed.shape[1:])
        padded = packed.new_zeros(len(self) * self.longest, *packed.shape[1:])
        padded[self._padded_index] = packed
        return padded.view(len(self), self.longest, *packed.shape[1:])

    def pack(self, padded: Tensor) -> Tensor:
        """``[rows, longest, ...] -> [size, ...]``, with zeros as filler."""
        flat = padded.reshape(len(self) * self.longest, *padded.shape[2:])
        return self.add_filler(flat if self.is_even else flat[self._padded_index])

    def add_filler(self, tokens: Tensor) -> Tensor:
        """``[tokens, ...] -> [size, ...]``, with zeros as filler."""
        missing = self.size - self.tokens
        return torch.cat((tokens, tokens.new_zeros(missing, *tokens.shape[1:]))) if missing else tokens

    def mean(self, packed: Tensor) -> Tensor:
        """``[size, width] -> [rows, width]``: the mean of each row's tokens, in float32."""
        total = packed.new_zeros(len(self), packed.shape[1], dtype=torch.float32)
        return total.index_add_(0, self.row, packed[: self.tokens].float()) / self.to_device(self.lengths).unsqueeze(-1)

    def keep(self, index: Ints) -> tuple[Layout, Tensor]:
        """Return the layout of the rows ``index [kept]``, and where its tokens are in this layout, ``[kept size]``."""
        kept = Layout(self.lengths[index], self.device)
        shift = self._bounds[:-1][index] - kept._bounds[:-1]
        tokens = np.empty(kept.size, np.int64)
        tokens[: kept.tokens] = np.arange(kept.tokens) + np.repeat(shift, kept.lengths)
        tokens[kept.tokens :] = tokens[:1]  # any token of these rows serves as filler: its result is never used
        return kept, self.to_device(tokens)

    def to_device(self, array: NDArray[Any]) -> Tensor:
        """Copy an array from the host to the device; an accelerator copies asynchronously, from pinned memory."""
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
    def _padded_index(self) -> Tensor:
        return self.row * self.longest + self.position


def round_up(size: int) -> int:
    """Round up to a multiple of 1/16 of the power of two at or below ``size``: few sizes, at most 1/16 larger."""
    grain = 1 << max(0, size.bit_length() - 5)
    return -(-size // grain) * grain
