"""Signals: one number per row and depth, computed from what the exit head said there and one depth before.

A single-label model asks one question with C options; a multi-label model asks one two-option question per label.
Both are ``[rows, questions, options]`` here, and a row's signal is that of its least settled question: a
multi-label text may leave when every one of its labels is settled.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Signal = Callable[[Tensor, Tensor | None], Tensor]


def questions(probabilities: Tensor, multi_label: bool) -> Tensor:
    """``[rows, classes] -> [rows, questions, options]``."""
    if multi_label:
        return torch.stack((1 - probabilities, probabilities), dim=-1)
    return probabilities.unsqueeze(-2)


def entr(p: Tensor) -> Tensor:
    """``-p ln p``, and 0 at 0."""
    found: Tensor = torch.special.entr(p)
    return found


def entropy(now: Tensor, before: Tensor | None) -> Tensor:
    """Normalised entropy in [0, 1], ``-sum p ln p / ln C`` with ``0 ln 0 = 0`` (ELBERT, section 2.2)."""
    options = now.shape[-1]
    scale = 1 / math.log(options) if options > 1 else 0.0
    return (entr(now).sum(-1) * scale).amax(-1)


def confidence(now: Tensor, before: Tensor | None) -> Tensor:
    """The largest probability (Schwartz et al., ACL 2020)."""
    return now.amax(-1).amin(-1)


def gap(now: Tensor, before: Tensor | None) -> Tensor:
    """The difference of the two largest probabilities (CALM, NeurIPS 2022)."""
    if now.shape[-1] < 2:
        return torch.ones_like(now[..., 0]).amin(-1)
    first, second = now.topk(2, dim=-1).values.unbind(-1)
    return (first - second).amin(-1)


def same(now: Tensor, before: Tensor | None) -> Tensor:
    """1 where the answer is that of the depth before, else 0; 0 at depth 1."""
    if before is None:
        return torch.zeros_like(now[:, 0, 0])
    return (now.argmax(-1) == before.argmax(-1)).all(-1).to(now.dtype)


def divergence(now: Tensor, before: Tensor | None) -> Tensor:
    """Jensen-Shannon divergence from the depth before, in nats (F-PABEE, ICASSP 2023); infinite at depth 1."""
    if before is None:
        return torch.full_like(now[:, 0, 0], math.inf)
    both = entr((now + before) / 2) - (entr(now) + entr(before)) / 2
    return both.sum(-1).clamp(min=0).amax(-1)


SIGNALS: dict[str, Signal] = {f.__name__: f for f in (entropy, confidence, gap, same, divergence)}
