"""Several processes that train one model: every process has texts of its own, and all take the same step.

One process is the plain case. ``torchrun --nproc-per-node N SCRIPT`` starts several; on a processor each does best with
one thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor, distributed


class Together:
    """This process among its like, from torchrun's environment; alone where it is not set.

    They must part before the process ends, for gloo's threads do not end by themselves: it is a ``with`` block.
    """

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        if self.size > 1:
            distributed.init_process_group("gloo")

    def __enter__(self) -> Together:
        """Ready since it was made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Part."""
        if self.size > 1:
            distributed.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Every tensor becomes its mean over the processes, in place."""
        if self.size == 1:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def take_firsts(self, tensors: Sequence[Tensor]) -> None:
        """Every tensor becomes the first process's, in place."""
        for tensor in tensors if self.size > 1 else ():
            distributed.broadcast(tensor, 0)

    def agreed(self, number: float) -> float:
        """The first process's number: clocks differ, and no process may stop a step before the others."""
        if self.size == 1:
            return number
        shared = torch.tensor([number], dtype=torch.float64)
        distributed.broadcast(shared, 0)
        return float(shared)
