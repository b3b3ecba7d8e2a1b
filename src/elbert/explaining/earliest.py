"""The oracles text by text: the earliest depths that only who knows the future can name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEVER = 0  # the depth of what no depth fulfils


def from_then_on(holds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``[n, depths]``: where something holds at this depth and at all later ones."""
    return np.flip(np.logical_and.accumulate(np.flip(holds, 1), axis=1), 1)


def first(holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``[n]``: the first depth at which something holds ``[n, depths]``; NEVER where it does nowhere."""
    return np.where(holds.any(1), holds.argmax(1) + 1, NEVER)
