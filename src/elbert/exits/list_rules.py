"""Rules over the rows of a list, which is ranked: a row exits when it is out of reach of the highest values.

Such a rule is data like any other, but no condition: a condition reads one trace, and this rule the rows of a list at
different depths. So only the engine applies it; files, pages and replays, which have single rows, do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from elbert.exits.conditions import Number, Of
from elbert.exits.signals import Array


@dataclass(frozen=True)
class ListRule:
    """A row exits if ``top`` other rows of its list, none of which exited by this rule, are certainly above it.

    What a row may still reach is its value, plus or minus ``margin``, moved by what it rose or fell over the last
    ``size`` depths, in that direction only. A row that is done has its value. All numbers may be dials.
    """

    reason: str
    top: Number
    margin: Number
    size: Number

    def settle(self, dials: Mapping[str, Any]) -> ListRule:
        """The rule with plain numbers for those that dials set."""
        numbers = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: of.value(dials) for name, of in numbers.items() if isinstance(of, Of)})

    def bounds(self, windows: Array) -> tuple[Array, Array]:
        """``[rows]`` twice: the least and the most that rows may reach, from ``windows [rows, size]``, oldest first."""
        now = windows[:, -1]
        moved = now - windows[:, 0]
        return now + np.minimum(moved, 0) - self.margin, now + np.maximum(moved, 0) + self.margin

    def find_outranked(self, low: Array, high: Array) -> Array:
        """``[rows]`` bool: which of the rows that may still be ranked exit."""
        if len(low) <= self.top:
            return np.zeros(len(low), bool)
        reached = np.partition(low, -self.top)[-self.top]  # by at least ``top`` rows, which themselves stay
        return np.asarray(high < reached)
