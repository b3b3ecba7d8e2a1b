"""Pools: the rows that stand ready, with their hidden states. The scheduler keeps the same pools as numbers."""

from __future__ import annotations

from collections.abc import Collection, Hashable

import numpy as np

from elbert.depth import Rows


class Pools(dict[Hashable, Rows]):
    """Rows by the weights that they need next, in the scheduler's order."""

    def stand(self, need: Hashable, rows: Rows, *, first: bool) -> None:
        """More rows are ready, before or behind those that are there."""
        there = [self[need]] if need in self else []
        self[need] = Rows.join([rows, *there] if first else [*there, rows])

    def take(self, need: Hashable, count: int) -> Rows:
        """The first rows of a pool."""
        rows = self.pop(need)
        if count < len(rows):
            rows, self[need] = rows.cut(count)
        return rows

    def pull(self, identities: Collection[int], from_depth: int) -> list[Rows]:
        """The rows of these requests that are here and so deep, out of their pools."""
        pulled, among = list[Rows](), list(identities)
        for need, rows in list(self.items()):
            wanted = np.isin(rows.identity, among) & (rows.trace.depth >= from_depth)
            if wanted.any():
                pulled.append(rows.keep(np.flatnonzero(wanted)))
                self[need] = rows.keep(np.flatnonzero(~wanted))
            if wanted.all():
                del self[need]
        return pulled
