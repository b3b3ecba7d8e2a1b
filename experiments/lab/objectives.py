"""Objectives beside those of ``elbert train``: ideas to hold against it, and the plain classifier as the measure."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from elbert.errors import InputError
from elbert.training.objective import ExitObjective

SETTLED = 0.1  # normalised entropy under which a text would leave, the paper's default
REACH = 2.0  # depths over which a text's weight falls to a third around its exit
LEAST = 0.25  # of the mean weight: no depth stops learning


class LastOnly(ExitObjective):
    """The last depth's loss alone: plain ALBERT."""

    def weights(self) -> Tensor:
        """``[depths]``: nothing but the last."""
        return torch.cat([torch.zeros(self.depths - 1), torch.ones(1)])


class Alternating(ExitObjective):
    """The last depth alone in every other step, all depths in the others (BERxiT, Xin et al., EACL 2021)."""

    turn = 0

    def forward(self, exit_logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch, by turns."""
        if torch.is_grad_enabled():
            self.turn += 1
        if self.turn % 2 == 0:
            return super().forward(exit_logits, labels)
        return functional.cross_entropy(exit_logits[-1].float(), labels) * self.depths


class Centred(ExitObjective):
    """Each text weighs the depths around the one where it would leave now, so that training sees what inference asks.

    After the idea of learning to weigh samples for early exits (Han et al., ECCV 2022), without their second network:
    the exit is that of the entropy rule on the batch's own answers. Every text's weights sum to the number of depths.
    """

    def forward(self, exit_logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        depths, rows, classes = exit_logits.shape
        logits = exit_logits.float()
        flat = functional.cross_entropy(logits.reshape(-1, classes), labels.repeat(depths), reduction="none")
        return (centred_weights(logits.detach()) * flat.view(depths, rows)).mean(1).sum()


def centred_weights(logits: Tensor) -> Tensor:
    """``[depths, rows]`` from ``logits [depths, rows, classes]``: largest where each text would leave, mean 1."""
    depths, _, classes = logits.shape
    log = logits.log_softmax(-1)
    entropy = -(log.exp() * log).sum(-1) / torch.tensor(float(classes)).log()
    settled = entropy < SETTLED
    settled[-1] = True
    leaving = settled.int().argmax(0)
    apart = (torch.arange(depths, device=logits.device)[:, None] - leaving).abs()
    near = (-apart / REACH).exp()
    return LEAST + (1 - LEAST) * near / near.mean(0)


def keep_gradients_apart(network: Any) -> None:
    """Let each depth's loss reach the shared layer at that depth only, not through the depths before it.

    The first depth's goes on into the embedding, as ever.

    Raises:
        InputError: the depths do not share one layer.
    """
    encoder = network.albert.encoder
    if len(encoder.albert_layer_groups) != 1:
        raise InputError("gradients are kept apart only where all depths share one layer group")
    first = True

    def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal first
        first = True

    def part(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal first
        hidden, first = (inputs[0] if first else inputs[0].detach()), False
        return (hidden, *inputs[1:])

    encoder.register_forward_pre_hook(begin)
    encoder.albert_layer_groups[0].register_forward_pre_hook(part)
