"""The task loss at every depth; all training objectives are computed from it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from elbert.model.config import Problem


def depth_losses(exit_logits: Tensor, labels: Tensor, problem: Problem, smoothing: float = 0.0) -> Tensor:
    """Return ``[depths]``, the mean loss over rows at each depth.

    ``exit_logits [depths, rows, classes]``; ``labels`` are class indices ``[rows]`` for single-label tasks, 0/1
    ``[rows, classes]`` for multi-label tasks, and values ``[rows]`` or ``[rows, classes]`` for regression.
    ``smoothing`` is the share of a single label's probability that is spread evenly over all classes.
    """
    depths, rows, classes = exit_logits.shape
    logits = exit_logits.float()  # so that the loss of a bfloat16 model is computed in float32
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
        losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    else:
        losses = functional.mse_loss(logits, target, reduction="none")
    return losses.mean((1, 2))


def infer_problem(configured: str | None, classes: int, labels: Tensor) -> Problem:
    """Return the configured problem type; without one, infer it by the rule of transformers."""
    if configured is not None:
        return cast(Problem, configured)
    if classes == 1:
        return "regression"
    is_integer = labels.dtype in (torch.int64, torch.int32)
    return "single_label_classification" if is_integer else "multi_label_classification"
