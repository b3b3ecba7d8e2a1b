"""The task loss of every depth, the raw material of every training objective."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from elbert.model.config import Problem


def depth_losses(exit_logits: Tensor, labels: Tensor, problem: Problem, smoothing: float = 0.0) -> Tensor:
    """``[depths]``: the mean loss over rows at each depth.

    ``exit_logits [depths, rows, classes]``; ``labels [rows]`` class indices, ``[rows, classes]`` 0/1 for multi-label,
    or ``[rows]`` / ``[rows, classes]`` values for regression. ``smoothing`` is the share of a single label that is
    spread over all classes.
    """
    depths, rows, classes = exit_logits.shape
    logits = exit_logits.float()  # the loss of a bfloat16 model is summed in full precision
    if problem == "single_label_classification":
        flat = functional.cross_entropy(
            logits.reshape(-1, classes),
            labels.reshape(-1).repeat(depths),
            reduction="none",
            label_smoothing=smoothing,
        )
        return flat.view(depths, rows).mean(1)
    target = labels.reshape(rows, classes).to(logits.dtype).expand_as(logits)
    if problem == "multi_label_classification":
        apart = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    else:
        apart = functional.mse_loss(logits, target, reduction="none")
    return apart.mean((1, 2))


def infer_problem(configured: str | None, classes: int, labels: Tensor) -> Problem:
    """The problem type, by transformers' rule where the configuration leaves it open."""
    if configured is not None:
        return cast(Problem, configured)
    if classes == 1:
        return "regression"
    whole = labels.dtype in (torch.int64, torch.int32)
    return "single_label_classification" if whole else "multi_label_classification"
