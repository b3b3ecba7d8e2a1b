"""The trace: what the exit head has said about each live row so far."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbert.exits.signals import SIGNALS, questions


@dataclass(frozen=True)
class Trace:
    """Signals of rows that may stand at different depths.

    depth:     ``[rows]``, how often the layer has been applied to each row; 0 before the first depth
    last:      ``[rows, classes]``, the probabilities at that depth
    values:    ``[rows, depths, signals]``, filled up to each row's depth
    names:     the signals kept, in the order of the last axis of ``values``
    said:      ``[rows, depths, classes]``, all probabilities so far, where somebody asked for them
    """

    depth: Tensor
    last: Tensor
    values: Tensor
    names: tuple[str, ...]
    multi_label: bool = False
    said: Tensor | None = None

    @classmethod
    def start(
        cls,
        rows: int,
        depths: int,
        classes: int,
        signals: Collection[str],
        *,
        multi_label: bool = False,
        remember: bool = False,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Trace:
        """The trace of ``rows`` rows about which nothing has been said yet; ``remember`` keeps all probabilities."""
        return cls(
            depth=torch.zeros(rows, dtype=torch.long, device=device),
            last=torch.zeros(rows, classes, dtype=dtype, device=device),
            values=torch.zeros(rows, depths, len(signals), dtype=dtype, device=device),
            names=tuple(sorted(signals)),
            multi_label=multi_label,
            said=torch.zeros(rows, depths, classes, dtype=dtype, device=device) if remember else None,
        )

    @classmethod
    def of(cls, probabilities: Tensor, signals: Collection[str], *, multi_label: bool = False) -> Trace:
        """The complete trace of saved outputs ``[rows, depths, classes]``; look at a depth with :meth:`at`."""
        rows, depths, classes = probabilities.shape
        trace = cls.start(rows, depths, classes, signals, multi_label=multi_label, dtype=probabilities.dtype)
        for depth in range(depths):
            trace = trace.hear(probabilities[:, depth])
        return trace

    def hear(self, probabilities: Tensor) -> Trace:
        """The trace after every row's head has spoken once more: ``probabilities [rows, classes]``."""
        rows = torch.arange(len(self.depth), device=self.depth.device)
        # In place: a row's past is never rewritten, so views of an earlier depth stay true.
        if self.names:
            self.values[rows, self.depth] = self._signals(probabilities)
        if self.said is not None:
            self.said[rows, self.depth] = probabilities
        return replace(self, depth=self.depth + 1, last=probabilities)

    def _signals(self, probabilities: Tensor) -> Tensor:
        now, before = questions(probabilities, self.multi_label), questions(self.last, self.multi_label)
        values = torch.stack([SIGNALS[name](now, before) for name in self.names], dim=-1)
        unheard = self.depth == 0
        if bool(unheard.any()):
            first = torch.stack([SIGNALS[name](now, None) for name in self.names], dim=-1)
            values = torch.where(unheard.unsqueeze(-1), first, values)
        return values

    def at(self, depth: int) -> Trace:
        """The trace as it stood when every row was at ``depth``; signals only, ``last`` is not rewound."""
        return replace(self, depth=torch.full_like(self.depth, depth))

    def now(self, name: str) -> Tensor:
        """``[rows]``: a signal at each row's own depth."""
        return self.window(name, 1)[:, 0]

    def window(self, name: str, size: int) -> Tensor:
        """``[rows, size]``: a signal over each row's last ``size`` depths, oldest first.

        Rows that are not that deep yet repeat their first depth; policies rule them out by :attr:`depth`.
        """
        signal = self.values[:, :, self.names.index(name)]
        steps = torch.arange(-size, 0, device=self.depth.device)
        return signal.gather(1, (self.depth.unsqueeze(-1) + steps).clamp(min=0))

    def keep(self, index: Tensor) -> Trace:
        """The trace of some of the rows, in the order of ``index [kept]``."""
        return replace(
            self,
            depth=self.depth[index],
            last=self.last[index],
            values=self.values[index],
            said=None if self.said is None else self.said[index],
        )

    @staticmethod
    def join(traces: Sequence[Trace]) -> Trace:
        """One trace of the rows of several, in order; all must keep the same things."""
        said = [t.said for t in traces if t.said is not None]
        return replace(
            traces[0],
            depth=torch.cat([t.depth for t in traces]),
            last=torch.cat([t.last for t in traces]),
            values=torch.cat([t.values for t in traces]),
            said=torch.cat(said) if said else None,
        )
