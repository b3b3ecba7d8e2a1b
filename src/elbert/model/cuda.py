"""On a CUDA device: attention over rows of any length without padding, and steps replayed from recorded graphs.

At a batch's sizes the launches of a layer's dozen kernels cost the host more than their work costs the device. A graph
replays them as one, but only at the sizes at which it was recorded: so sizes are rounded up, and what is beyond a
batch's own tokens belongs to no row.
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
    """As much of a layout as a step without padding looks at, always in the same place in memory."""

    bounds: Tensor
    longest: int


class VarlenKernels(TorchKernels):
    """With torch's variable-length flash attention (torch 2.10), in bfloat16."""

    def __init__(self, attend: Attend) -> None:
        super().__init__(torch.bfloat16)
        self._attend = attend

    def attend(self, qkv: Tensor, layout: Layout, heads: int) -> Tensor:
        """Attention within each row, no padding."""
        query, key, value = qkv.view(qkv.shape[0], 3, heads, -1).unbind(1)
        bounds = layout.bounds.to(torch.int32)
        return self._attend(query, key, value, bounds, bounds, layout.longest, layout.longest).flatten(1)


def varlen_attention() -> Attend | None:
    """Torch's own, where this release has it."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return cast(Attend, varlen_attn)


@dataclass(frozen=True)
class Recording:
    """A step at fixed sizes: what goes in, how to run it, what comes out."""

    hidden: Tensor
    bounds: Tensor
    replay: Callable[[], None]
    result: Tensor


class GraphReplay:
    """``step(hidden, spans, group)``, recorded once for every rounded size and replayed from then on."""

    def __init__(self, step: Callable[[Tensor, Layout, int], Tensor], record: Record) -> None:
        self._step = step
        self._record = record
        self._recordings: dict[tuple[int, ...], Recording] = {}

    def __call__(self, hidden: Tensor, layout: Layout, group: int) -> Tensor:
        """``[room, width] -> [room, width]``."""
        size = layout.size, power_of_two(len(layout)), power_of_two(layout.longest)
        if (group, *size) not in self._recordings:
            self._recordings[group, *size] = self._recorded(hidden, group, *size)
        recording, rows = self._recordings[group, *size], len(layout)
        recording.hidden.copy_(hidden)
        recording.bounds[: rows + 1].copy_(layout.bounds)
        recording.bounds[rows + 1 :].fill_(layout.tokens)  # rows that are not there have no tokens
        recording.replay()
        return recording.result.clone()  # the next replay writes over it

    def _recorded(self, hidden: Tensor, group: int, tokens: int, rows: int, longest: int) -> Recording:
        static = hidden.new_zeros(tokens, hidden.shape[1])
        bounds = torch.zeros(rows + 1, dtype=torch.int64, device=hidden.device)
        spans = cast(Layout, Fixed(bounds, longest))  # nothing else of a layout is read where nothing is padded
        replay, result = self._record(lambda: self._step(static, spans, group))
        return Recording(static, bounds, replay, result)


def power_of_two(size: int) -> int:
    """The next one; for sizes that cost nothing when they are too large."""
    return 1 << (size - 1).bit_length()


def record_graph(run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Record ``run`` as a CUDA graph: what replays it, and where its result will lie each time."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):  # libraries choose their kernels and take their memory before the recording
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run()
    return graph.replay, result
