"""Replay: run a policy over saved outputs, as if the rows were live."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elbert.errors import InputError
from elbert.exits.base import STAY, Policy
from elbert.exits.spec import policy as read
from elbert.exits.trace import Trace

LAST = "last"  # a row at the last depth answers, whatever the policy says


def replay(
    probabilities: NDArray[Any] | Tensor, policy: str | Policy, *, multi_label: bool = False
) -> NDArray[np.int64]:
    """The exit depth (from 1) of every row of saved outputs ``[n, depths, classes]`` under a policy.

    Raises:
        InputError: the outputs are not ``[n, depths, classes]``.
        PolicyError: the spec cannot be read.
    """
    return replay_exits(probabilities, policy, multi_label=multi_label)[0]


def replay_exits(
    probabilities: NDArray[Any] | Tensor, policy: str | Policy, *, multi_label: bool = False
) -> tuple[NDArray[np.int64], list[str]]:
    """``(exit depths [n], reasons [n])`` under a policy; the last depth answers for the reason ``last``."""
    said = as_floats(probabilities)
    if said.ndim != 3 or 0 in said.shape[1:]:
        raise InputError(f"outputs are [n, depths, classes]; these have the shape {list(said.shape)}")
    chosen = read(policy)
    trace = Trace.of(said, chosen.signals, multi_label=multi_label)
    rows, depths = said.shape[:2]
    exit_depth = torch.full((rows,), depths)
    exit_rule = torch.full((rows,), STAY)
    for depth in range(depths - 1, 0, -1):  # backwards, so that the earliest exit is the one that stands
        rule = chosen.decide(trace.at(depth))
        leaving = rule != STAY
        exit_depth[leaving] = depth
        exit_rule[leaving] = rule[leaving]
    reasons = (*chosen.reasons, LAST)  # STAY = -1 names the last
    return exit_depth.numpy(), [reasons[i] for i in exit_rule.tolist()]


def as_floats(probabilities: NDArray[Any] | Tensor) -> Tensor:
    """The outputs as a floating-point tensor on the processor; an array that cannot be shared is copied.

    Raises:
        InputError: they are no numbers.
    """
    if not isinstance(probabilities, Tensor):
        array = np.asarray(probabilities)
        if array.dtype.kind not in "fiub":
            raise InputError(f"outputs are [n, depths, classes] numbers; these are {array.dtype}")
        probabilities = torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), requirements=["C", "W"]))
    said = probabilities.detach().cpu()
    return said if said.is_floating_point() else said.float()
