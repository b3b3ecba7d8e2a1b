"""Many rows in one native call: places that rows free are filled with rows that wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elbert.model.native.bindings import RefillStruct
from elbert.model.native.live_rows import STAY, TASKS, NativePolicy
from elbert.model.native.operators import SCRATCH, NativeEmbedding, NativeHead, NativeLayer, check_tensor


@dataclass(frozen=True)
class Places:
    """The most rows and tokens that share a layer, and the share of them that must be free before rows start."""

    rows: int
    tokens: int
    refill: float


class Refill:
    """Rows for one call: first those at some depth, then those that wait, in the order in which they start.

    policies: of each row
    lengths:  ``[rows]`` int64, the tokens of each row
    ids:      ``[tokens]`` int64, and ``type_ids``, of the rows that wait, one after another
    hidden:   ``[size, width]``, of the rows at some depth
    depth:    ``[started]`` int64, their depths
    trace:    ``[rows, depths, classes]`` float32, with what they have so far; the call adds to it
    drain:    whether the call goes on until all rows exit; else it ends when all have started and places are free
    seconds:  after which no layer begins, whatever is left

    After the call, ``depth [rows]`` and ``decision [rows]``, as of :class:`Live`; ``logits [rows, classes]`` of rows
    that exit; ``remaining`` has the rows that have started and do not, in their order in what :meth:`run` returns;
    ``waiting`` is the number of rows, the last ones, that have not started. The rule by which rows start is that of the
    engine's scheduler for one call at a time; where there are enough rows, each thread has a part of the places.
    """

    def __init__(
        self,
        places: Places,
        policies: Sequence[NativePolicy],
        lengths: NDArray[np.int64],
        ids: NDArray[np.int64],
        type_ids: NDArray[np.int64],
        hidden: Tensor | None,
        depth: NDArray[np.int64],
        trace: NDArray[np.float32],
        task: str,
        *,
        drain: bool,
        seconds: float,
        keep_trace: bool,
        scale: float,
    ) -> None:
        """Check the arrays.

        Raises:
            ValueError: a type, size or memory layout is not the documented one.
        """
        (rows, self.depths, self.classes), started = trace.shape, len(depth)
        arrays = lengths, ids, type_ids, depth
        is_plain = all(array.dtype == np.int64 and array.flags.c_contiguous for array in arrays)
        is_plain = is_plain and trace.dtype == np.float32 and trace.flags.c_contiguous and trace.flags.writeable
        if not is_plain or len(lengths) != rows or len(policies) != rows or started > rows:
            raise ValueError(f"expected lengths and policies of {rows} rows and contiguous arrays")
        waiting = int(lengths[started:].sum())
        if (lengths < 1).any() or len(ids) != waiting or len(type_ids) != waiting or (hidden is None) != (started == 0):
            raise ValueError(f"expected {waiting} ids, and the hidden values of rows at some depth")
        if any(policy.depths != self.depths for policy in set(policies)):
            raise ValueError(f"expected policies for {self.depths} depths")
        self.started, self._from, self.trace = hidden, depth, trace
        self.tokens = int(lengths.sum()), int(lengths[:started].sum())
        # Each thread has a part of the places, or of the rows at some depth, which ends at a whole row.
        beyond = int(lengths.max(initial=0)) * torch.get_num_threads()
        self.size = min(max(places.tokens, self.tokens[1]) + beyond, self.tokens[0])
        self.depth, self.decision, self._remaining = np.full((3, rows), STAY, np.int64)
        self.logits = np.empty((rows, self.classes), np.float32)
        addresses = np.array([policy.address for policy in policies], np.int64)
        self._kept = policies, addresses, lengths, ids, type_ids
        read = addresses, lengths, depth, ids, type_ids
        written = self.depth, self.decision, trace, self.logits, self._remaining
        inputs = [torch.from_numpy(array).data_ptr() for array in read]
        outputs = [torch.from_numpy(array).data_ptr() for array in written]
        self.struct = RefillStruct(
            *(started, rows - started, places.rows, places.tokens, places.refill),
            *(drain, seconds, self.depths, self.classes, TASKS.index(task), keep_trace, scale),
            *inputs,
            None if hidden is None else hidden.data_ptr(),
            *outputs,
        )

    def run(self, embedding: NativeEmbedding, layer: NativeLayer, head: NativeHead) -> Tensor:
        """Make the call; return ``[size, width]``, the hidden values of the rows that remain and unset memory.

        Raises:
            ValueError: the parts do not fit each other or these rows, or a token or a segment has no embedding.
            MemoryError: there is no memory to compute in.
        """
        width, dtype = layer.width, layer.dtype
        if {(part.width, part.dtype) for part in (embedding, head)} != {(width, dtype)} or head.classes != self.classes:
            raise ValueError("expected an embedding and a head for hidden values of this layer, and these classes")
        if self.started is not None:
            check_tensor(self.started, dtype, len(self.started) * width)
            if len(self.started) < self.tokens[1]:
                raise ValueError(f"expected the hidden values of {self.tokens[1]} tokens")
        out = torch.empty((self.size + self.size // 16 + 1, width), dtype=dtype, device="cpu")
        self.struct.out = out.data_ptr()
        SCRATCH.run(layer.variant.run_refill, embedding.struct, layer.struct, head.struct, self.struct)
        return out

    @property
    def remaining(self) -> NDArray[Any]:
        """The numbers of the rows that have not exited, in order."""
        return self._remaining[: int(self.struct.count)]

    @property
    def waiting(self) -> int:
        """The number of rows that have not started: the last ones."""
        return int(self.struct.items - self.struct.started)
