"""Replay: run policies over saved outputs, as if the rows were live.

A row exits at the first depth at which any rule of its policy fires. So a policy's exit is the earliest of its
rules' exits, and each rule is evaluated once, however many policies hold it: thousands of policies cost little more
than the few hundred rules they are made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elbert.errors import InputError
from elbert.exits.rules import Policy, Rule
from elbert.exits.signals import Content
from elbert.exits.spec import policy as read
from elbert.exits.trace import Trace

LAST = "last"  # the reason of rows at the last depth, whatever the policy

Depths = NDArray[np.int16]


class Replay:
    """Saved outputs ``[n, depths, classes]`` over which policies are replayed.

    Raises:
        InputError: the outputs are not ``[n, depths, classes]``.
    """

    def __init__(
        self,
        probabilities: ArrayLike,
        *,
        multi_label: bool = False,
        content: Content = "probabilities",
        scale: float = 1.0,
    ) -> None:
        outputs = as_floats(probabilities)
        if outputs.ndim != 3 or 0 in outputs.shape[1:]:
            raise InputError(f"outputs are [n, depths, classes]; these have the shape {list(outputs.shape)}")
        self.rows, self.depths = outputs.shape[:2]
        self.trace = Trace.from_outputs(outputs, multi_label=multi_label, content=content, scale=scale)
        self._tried: dict[Rule, Depths] = {}

    @classmethod
    def of_signals(cls, signals: Mapping[str, NDArray[Any]]) -> Replay:
        """Return a replay over signals ``[n, depths]``, all that policies read of token classification."""
        rows, depths = next(iter(signals.values())).shape
        replayed = cls(np.zeros((rows, depths, 1), np.float32))
        replayed.trace = replace(replayed.trace, signals=dict(signals))
        return replayed

    def exits(self, policy: Policy) -> Depths:
        """``[n]``: the depth (from 1) at which each row exits."""
        exits = np.full(self.rows, self.depths, np.int16)
        for rule in policy.rules:
            np.minimum(exits, self.fires(rule), out=exits)
        return exits

    def reasons(self, policy: Policy) -> list[str]:
        """``[n]``: why each row exits there: the first of the rules that fire, or the last depth."""
        exits = self.exits(policy)
        reasons = np.full(self.rows, LAST, object)
        for rule in reversed(policy.rules):
            reasons[(self.fires(rule) == exits) & (exits < self.depths)] = rule.reason
        names: list[str] = reasons.tolist()
        return names

    def fires(self, rule: Rule) -> Depths:
        """``[n]``: the first depth at which a rule holds; the last depth where it never does."""
        if rule not in self._tried:
            self._tried[rule] = self._first(rule)
        return self._tried[rule]

    def _first(self, rule: Rule) -> Depths:
        first = np.full(self.rows, self.depths, np.int16)
        for depth in range(self.depths - 1, max(rule.size, 1) - 1, -1):  # backwards, so that the earliest depth wins
            first[rule.fires(self.trace.at(depth))] = depth
        return first


def replay(probabilities: ArrayLike, policy: str | Policy, *, multi_label: bool = False) -> NDArray[np.int64]:
    """The exit depth (from 1) of every row of saved outputs ``[n, depths, classes]`` under a policy.

    Raises:
        InputError: the outputs are not ``[n, depths, classes]``.
        PolicyError: the spec cannot be read.
    """
    return Replay(probabilities, multi_label=multi_label).exits(read(policy)).astype(np.int64)


def replay_exits(
    probabilities: ArrayLike, policy: str | Policy, *, multi_label: bool = False
) -> tuple[NDArray[np.int64], list[str]]:
    """``(exit depths [n], reasons [n])`` under a policy; rows at the last depth have the reason ``last``."""
    replayed, chosen = Replay(probabilities, multi_label=multi_label), read(policy)
    return replayed.exits(chosen).astype(np.int64), replayed.reasons(chosen)


def as_floats(probabilities: Any) -> NDArray[Any]:
    """The outputs as a floating-point array; a torch tensor may be on any device.

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
