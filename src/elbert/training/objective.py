"""The training objective: the weighted sum of all depths' losses (Xie et al. 2021, section 2.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from elbert.tasks import Task
from elbert.training.options import ExitOptions

HOST: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}  # whatever torch's defaults are
INITIAL_T = 4.0  # of the learned parameters: each weight starts at sigmoid(4) = 0.982


class ExitObjective(nn.Module):
    """``sum of w_m * loss_m`` over depths; the weights sum to the number of depths.

    The learned weighting has parameters ``t``: ``w_m = floor + (1 - floor) sigmoid(t_m)`` for the earlier depths, and
    the last depth has the rest. They are part of training, not of the model.
    """

    def __init__(self, depths: int, task: Task, options: ExitOptions, smoothing: float = 0.0) -> None:
        super().__init__()
        self.depths = depths
        self.task = task
        self.options = options
        self.smoothing = smoothing
        self._loss_sum: Tensor | None = None  # of the batches since the last report
        self._batches = 0
        if options.weighting == "learned":
            self.t = nn.Parameter(torch.full((depths - 1,), INITIAL_T, **HOST))
            self.t.register_hook(average_over_processes)  # type: ignore[no-untyped-call]  # torch's own

    def weights(self) -> Tensor:
        """Return ``[depths]``: the current weights; the last is the number of depths minus the sum of the others."""
        earlier = self.earlier_weights()
        return torch.cat([earlier, (self.depths - earlier.sum()).unsqueeze(0)])

    def earlier_weights(self) -> Tensor:
        """Return ``[depths - 1]``: the weights of all depths but the last."""
        options, earlier = self.options, self.depths - 1
        if options.weighting == "learned":
            return options.weight_floor + (1 - options.weight_floor) * self.t.sigmoid()
        if options.weighting == "linear":
            return torch.arange(1, self.depths, **HOST) * (2 / (self.depths + 1))
        if options.weighting == "last-heavy":
            return torch.full((earlier,), self.depths * (1 - options.last_share) / max(earlier, 1), **HOST)
        return torch.ones(earlier, **HOST)

    def forward(self, exit_logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch: ``exit_logits [depths, rows, classes]``, labels as its task has them."""
        exit_logits, labels = self.task.select_answers(exit_logits, labels)
        losses = self.task.losses(exit_logits, labels, self.smoothing)
        share = self.options.distillation
        if share and self.depths > 1:
            distilled = distillation_losses(exit_logits, self.task, self.options.temperature)
            losses = torch.cat([(1 - share) * losses[:-1] + share * distilled, losses[-1:]])
        loss = (self.weights().to(losses) * losses).sum()
        if torch.is_grad_enabled():  # in training, not in evaluations
            self._loss_sum = loss.detach() if self._loss_sum is None else self._loss_sum + loss.detach()
            self._batches += 1
        return loss

    def take_mean_loss(self) -> float | None:
        """Return the loss, mean over the depths and over the batches since the last call; None without a batch."""
        total, batches, self._loss_sum, self._batches = self._loss_sum, self._batches, None, 0
        if total is None:
            return None
        return float(average_over_processes(total)) / batches / self.depths


def distillation_losses(exit_logits: Tensor, task: Task, temperature: float) -> Tensor:
    """Return ``[depths - 1]``: each earlier depth's loss against the last depth, which gets no gradient."""
    logits = exit_logits.float()
    earlier, last = logits[:-1], logits[-1].detach().expand_as(logits[:-1])
    return task.distillation_losses(earlier, last, temperature)


def average_over_processes(gradient: Tensor) -> Tensor:
    """Return the gradient averaged over all processes: DistributedDataParallel averages the model's only."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return gradient
    total = gradient.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
