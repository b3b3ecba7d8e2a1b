"""CUDA devices: attention over rows of different lengths without padding, and steps replayed from CUDA graphs.

At the usual batch sizes, launching the dozen kernels of a layer takes the host more time than their work takes the
device. A graph launches them as one, but only at the sizes at which it was recorded. So sizes are rounded up, and the
positions after the tokens of a batch belong to no row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from elbert.model.kernels import TorchKernels
from elbert.model.layout import Layout

Attend = Callable[..., Tensor]
Record = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]


@dataclass(frozen=True)
class Fixed:
    """The part of a layout that a step without padding reads.

    ``bounds [rows + 1]`` keeps its memory address between replays, as a CUDA graph requires.
    """

    bounds: Tensor
    longest: int


class VarlenKernels(TorchKernels):
    """Kernels with torch's variable-length flash attention (torch 2.10), in bfloat16."""

    def __init__(self, attend: Attend) -> None:
        super().__init__(torch.bfloat16)
        self._attend = attend

    def attend(self, qkv: Tensor, layout: Layout, heads: int) -> Tensor:
        """Attention within each row, without padding: ``[tokens, 3 width] -> [tokens, width]``."""
        query, key, value = qkv.view(qkv.shape[0], 3, heads, -1).unbind(1)
        bounds = layout.bounds.to(torch.int32)
        return self._attend(query, key, value, bounds, bounds, layout.longest, layout.longest).flatten(1)


def varlen_attention() -> Attend | None:
    """Return torch's variable-length attention, or None where this release of torch does not have it."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return cast(Attend, varlen_attn)


@dataclass(frozen=True)
class Recording:
    """A step recorded at fixed sizes: its input buffers, the function that replays it, and its result buffer."""

    hidden: Tensor
    bounds: Tensor
    replay: Callable[[], None]
    result: Tensor


class GraphReplay:
    """Runs ``step(hidden, spans, group)``: records it once per group and rounded size, then replays the recording."""

    def __init__(self, step: Callable[[Tensor, Layout, int], Tensor], record: Record) -> None:
        self._step = step
        self._record = record
        self._recordings: dict[tuple[int, ...], Recording] = {}

    def __call__(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """Run one step: ``[layout.size, width] -> [layout.size, width]``."""
        size = layout.size, power_of_two(len(layout)), power_of_two(layout.longest)
        if (group, *size) not in self._recordings:
            self._recordings[group, *size] = self._record_sizes(hidden, group, *size)
        recording, rows = self._recordings[group, *size], len(layout)
        recording.hidden.copy_(hidden)
        recording.bounds[: rows + 1].copy_(layout.bounds)
        recording.bounds[rows + 1 :].fill_(layout.tokens)  # the unused rows are empty
        recording.replay()
        return recording.result.clone()  # a copy: the next replay overwrites the result buffer

    def _record_sizes(self, hidden: Tensor, group: int, tokens: int, rows: int, longest: int) -> Recording:
        static = hidden.new_zeros(tokens, hidden.shape[1])
        bounds = torch.zeros(rows + 1, dtype=torch.int64, device=hidden.device)
        spans = cast(Layout, Fixed(bounds, longest))  # a step without padding reads only these fields
        replay, result = self._record(lambda: self._step(static, spans, group))
        return Recording(static, bounds, replay, result)


def power_of_two(size: int) -> int:
    """Round ``size`` up to a power of two.

    Used for sizes that cost no time when they are too large, so that few sizes are recorded.
    """
    return 1 << (size - 1).bit_length()


def record_graph(run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Record ``run`` as a CUDA graph; return the function that replays it and the buffer that holds each result."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):  # libraries must select kernels and allocate memory before the recording
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run()
    return graph.replay, result
