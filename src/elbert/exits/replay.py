"""Replay: run a policy over saved outputs, as if the rows were live."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elbert.errors import InputError
from elbert.exits.base import STAY, Policy
from elbert.exits.spec import policy as read
from elbert.exits.trace import Trace

LAST = "last"  # a row at the last depth answers, whatever the policy says


def replay(probabilities: ArrayLike, policy: str | Policy, *, multi_label: bool = False) -> NDArray[np.int64]:
    """The exit depth (from 1) of every row of saved outputs ``[n, depths, classes]`` under a policy.

    Raises:
        InputError: the outputs are not ``[n, depths, classes]``.
        PolicyError: the spec cannot be read.
    """
    return replay_exits(probabilities, policy, multi_label=multi_label)[0]


def replay_exits(
    probabilities: ArrayLike, policy: str | Policy, *, multi_label: bool = False
) -> tuple[NDArray[np.int64], list[str]]:
    """``(exit depths [n], reasons [n])`` under a policy; the last depth answers for the reason ``last``."""
    said = as_floats(probabilities)
    if said.ndim != 3 or 0 in said.shape[1:]:
        raise InputError(f"outputs are [n, depths, classes]; these have the shape {list(said.shape)}")
    chosen = read(policy)
    trace = Trace.of(said, multi_label=multi_label)
    rows, depths = said.shape[:2]
    exit_depth = np.full(rows, depths, np.int64)
    exit_rule = np.full(rows, STAY, np.int64)
    for depth in range(depths - 1, 0, -1):  # backwards, so that the earliest exit is the one that stands
        rule = chosen.decide(trace.at(depth))
        leaving = rule != STAY
        exit_depth[leaving] = depth
        exit_rule[leaving] = rule[leaving]
    reasons = (*chosen.reasons, LAST)  # STAY = -1 names the last
    return exit_depth, [reasons[i] for i in exit_rule.tolist()]


def as_floats(probabilities: Any) -> NDArray[Any]:
    """The outputs as a floating-point array; a torch tensor may come from anywhere.

    Raises:
        InputError: they are no numbers.
    """
    tensor = probabilities.detach().cpu() if hasattr(probabilities, "detach") else None
    if tensor is not None:  # numpy has no bfloat16
        probabilities = (tensor if tensor.element_size() > 2 else tensor.float()).numpy()
    array = np.asarray(probabilities)
    if array.dtype.kind not in "fiub":
        raise InputError(f"outputs are [n, depths, classes] numbers; these are {array.dtype}")
    return array.astype(array.dtype if array.dtype.kind == "f" and array.itemsize > 2 else np.float32, copy=False)
