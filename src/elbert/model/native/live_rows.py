"""Live rows and their policies, as arrays that native code reads and writes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elbert.model.native.bindings import LiveStruct, PolicyStruct

TASKS = ("softmax", "sigmoid", "values")  # what logits become, in the library's order, as are the names below
SIGNALS = ("entropy", "confidence", "gap", "same", "divergence", "value", "change")
CONDITIONS = ("at_depth", "held", "at_start", "rising", "spread")
COMPARISONS = ("<", "<=", ">", ">=", "==")
STAY = -1


class NativePolicy:
    """A policy as arrays: ``conditions [n, 6]`` int32 with the columns rule, condition, signal, comparison, size and
    temperatures, numbers of the names above, -1 for none; ``thresholds [n]``; ``temperatures [distinct, depths]``."""

    def __init__(
        self, conditions: NDArray[Any], thresholds: NDArray[Any], temperatures: NDArray[Any], rules: int
    ) -> None:
        """Copy the arrays.

        Raises:
            ValueError: a number has no meaning.
        """
        numbers = np.ascontiguousarray(conditions, np.int32)
        limits = rules, len(CONDITIONS), len(SIGNALS), len(COMPARISONS), 2**31 - 1, len(temperatures)
        least = 0, 0, -1, -1, 0, -1
        if numbers.ndim != 2 or numbers.shape[1] != len(limits) or (numbers < least).any() or (numbers >= limits).any():
            raise ValueError(f"conditions have the columns of exits, below {limits}")
        has_signal = numbers[:, 1] != CONDITIONS.index("at_depth")
        if (numbers[has_signal, 2:4] < 0).any():
            raise ValueError("a condition lacks its signal or comparison")
        if (numbers[numbers[:, 1] == CONDITIONS.index("at_start"), 4] < 1).any():
            raise ValueError("a window without depths has no start")
        if np.shape(thresholds) != (len(numbers),) or np.ndim(temperatures) != 2:
            raise ValueError("expected one threshold for each condition, and temperatures for each depth")
        self.depths = temperatures.shape[1]
        self._kept = numbers, np.array(thresholds, np.float32), np.array(temperatures, np.float32)
        addresses = [array.ctypes.data for array in self._kept]
        self._struct = PolicyStruct(len(numbers), rules, bool((numbers[:, 2] >= 0).any()), *addresses)
        self.address = ctypes.addressof(self._struct)


class Live:
    """Live rows, and the results of their latest step: logits ``[rows, classes]`` where the head was read,
    ``decision [rows]``, the rule by which each row exits, the number of its rules at the last depth, or -1; ``exits``,
    how many rows exit.

    ``depth [rows]`` int64 and ``trace [rows, depths, classes]`` float32 are changed in place: a row's depth is
    deeper by the layers of the call, and the trace has its probabilities. ``task`` is one of :data:`TASKS`.
    """

    def __init__(
        self,
        policies: Sequence[NativePolicy],
        depth: NDArray[np.int64],
        trace: NDArray[np.float32],
        task: str,
        *,
        keep_trace: bool,
        scale: float,
    ) -> None:
        """Check the arrays.

        Raises:
            ValueError: a type, size or memory layout is not the documented one.
        """
        rows, depths, self.classes = trace.shape
        is_plain = depth.flags.c_contiguous and trace.flags.c_contiguous and depth.flags.writeable
        types = depth.dtype == np.int64 and trace.dtype == np.float32 and trace.flags.writeable
        if not is_plain or not types or depth.shape != (rows,) or len(policies) != rows:
            raise ValueError(f"expected depths and policies of {rows} rows, int64, and a trace, float32")
        if any(policy.depths != depths for policy in set(policies)):
            raise ValueError(f"expected policies for {depths} depths")
        self.logits = np.empty((rows, self.classes), np.float32)
        self.decision = np.empty(rows, np.int64)
        addresses = np.array([policy.address for policy in policies], np.int64)
        self._kept = policies, depth, trace, addresses
        arrays = addresses, depth, trace, self.logits, self.decision
        places = [torch.from_numpy(array).data_ptr() for array in arrays]
        self.struct = LiveStruct(depths, self.classes, TASKS.index(task), keep_trace, scale, *places, steps=1)

    @property
    def exits(self) -> int:
        """How many rows exit."""
        return int(self.struct.exits)

    @property
    def layers(self) -> int:
        """The most layers of a call, which ends when a row exits; 1 at first."""
        return int(self.struct.steps)

    @layers.setter
    def layers(self, layers: int) -> None:
        self.struct.steps = layers
