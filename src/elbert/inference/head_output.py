"""The output of the exit head, on its way to the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from elbert.model import ModelConfig


@dataclass(frozen=True)
class HeadOutput:
    """Probabilities and logits ``[rows, classes]``, on the host or being copied to it.

    On an accelerator the copy is asynchronous, so that other rows can compute until :meth:`wait` is called.
    """

    probabilities: Tensor
    raw_logits: Tensor
    copied: torch.cuda.Event | None

    @classmethod
    def start_copy(cls, logits: Tensor, config: ModelConfig) -> HeadOutput:
        """Start to copy ``logits [rows, classes]`` and their probabilities to the host."""
        probabilities = config.probabilities(logits)
        if logits.device.type == "cpu":
            return cls(probabilities, logits, None)
        host = torch.empty((2, *logits.shape), dtype=logits.dtype, pin_memory=True)
        host.copy_(torch.stack((probabilities, logits)), non_blocking=True)  # one copy, because each has a fixed cost
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record()
        return cls(host[0], host[1], copied)

    def wait(self) -> NDArray[Any]:
        """Wait for the copy and return the probabilities ``[rows, classes]``."""
        if self.copied is not None:
            self.copied.synchronize()
        array: NDArray[Any] = self.probabilities.numpy()
        return array

    @property
    def logits(self) -> NDArray[Any]:
        """The logits ``[rows, classes]``; valid after :meth:`wait`."""
        array: NDArray[Any] = self.raw_logits.numpy()
        return array
