"""What the exit head said, on its way to the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Said:
    """Probabilities ``[rows, classes]`` that are, or soon will be, on the host.

    On an accelerator the copy is asked for and not waited for, so that other rows can compute meanwhile.
    """

    host: Tensor
    arrived: torch.cuda.Event | None

    @classmethod
    def by(cls, probabilities: Tensor) -> Said:
        """Ask for the probabilities on the host."""
        if probabilities.device.type == "cpu":
            return cls(probabilities, None)
        host = torch.empty(probabilities.shape, dtype=probabilities.dtype, pin_memory=True)
        host.copy_(probabilities, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        return cls(host, arrived)

    def hear(self) -> NDArray[Any]:
        """Wait for them."""
        if self.arrived is not None:
            self.arrived.synchronize()
        array: NDArray[Any] = self.host.numpy()
        return array
