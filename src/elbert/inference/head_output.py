"""What the exit head said, on its way to the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from elbert.model import ModelConfig


@dataclass(frozen=True)
class Said:
    """Probabilities ``[rows, classes]``, and the logits behind them, that are, or soon will be, on the host.

    On an accelerator the copy is asked for and not waited for, so that other rows can compute meanwhile.
    """

    probabilities: Tensor
    raw: Tensor
    arrived: torch.cuda.Event | None

    @classmethod
    def by(cls, logits: Tensor, config: ModelConfig) -> Said:
        """Ask for what ``logits [rows, classes]`` mean on the host."""
        probabilities = config.probabilities(logits)
        if logits.device.type == "cpu":
            return cls(probabilities, logits, None)
        host = torch.empty((2, *logits.shape), dtype=logits.dtype, pin_memory=True)
        host.copy_(torch.stack((probabilities, logits)), non_blocking=True)  # one copy: each has its price
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        return cls(host[0], host[1], arrived)

    def hear(self) -> NDArray[Any]:
        """Wait for the probabilities."""
        if self.arrived is not None:
            self.arrived.synchronize()
        array: NDArray[Any] = self.probabilities.numpy()
        return array

    @property
    def logits(self) -> NDArray[Any]:
        """The logits, once the probabilities have been heard."""
        array: NDArray[Any] = self.raw.numpy()
        return array
