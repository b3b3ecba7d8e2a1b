"""The heart: one function takes every live row one layer deeper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from elbert.depth.rows import Rows
from elbert.exits import LAST, STAY, Policy
from elbert.model import Backend


@dataclass(frozen=True)
class Exits:
    """Rows that left: their answers, and where and why.

    identity ``[rows]``, probabilities ``[rows, classes]``, depth ``[rows]`` from 1, reason per row; ``said``
    ``[rows, depths, classes]`` where the trace remembered it (filled up to each row's depth).
    """

    identity: Tensor
    probabilities: Tensor
    depth: Tensor
    reason: list[str]
    said: Tensor | None


def advance(rows: Rows, backend: Backend, policy: Policy) -> tuple[Rows, Exits]:
    """Take every row one layer deeper; return those that stay and those that leave.

    The last depth always answers, for the reason ``last``, whatever the policy says there.
    """
    rows = Rows.join([deepen(part, backend) for part in same_weights(rows, backend)])
    decision = policy.decide(rows.trace)
    decision = torch.where(rows.trace.depth >= backend.config.depths, len(policy.rules), decision)
    leaves = decision != STAY
    if not bool(leaves.any()):
        return rows, depart(rows, leaves.nonzero()[:, 0], decision, policy)
    going, staying = leaves.nonzero()[:, 0], (~leaves).nonzero()[:, 0]
    return rows.keep(staying), depart(rows, going, decision, policy)


def deepen(rows: Rows, backend: Backend) -> Rows:
    """One layer deeper, and one word more from the exit head; all rows must need the same weights."""
    config, depth = backend.config, int(rows.trace.depth[0]) + 1
    hidden = backend.step(rows.hidden, rows.layout, config.group(depth))
    logits = backend.read(hidden, rows.layout, config.head(depth))
    return Rows(rows.identity, hidden, rows.layout, rows.trace.hear(config.probabilities(logits)))


def same_weights(rows: Rows, backend: Backend) -> Iterator[Rows]:
    """The rows in parts that may share a call: for ALBERT's one layer, all of them, whatever their depths."""
    config = backend.config
    if config.num_hidden_groups == 1 and config.exit_heads == 1:
        yield rows
        return
    needs = [(config.group(depth + 1), config.head(depth + 1)) for depth in rows.trace.depth.tolist()]
    for need in sorted(set(needs)):
        yield rows.keep(torch.tensor([i for i, n in enumerate(needs) if n == need], device=rows.hidden.device))


def depart(rows: Rows, index: Tensor, decision: Tensor, policy: Policy) -> Exits:
    """What the rows ``index [leaving]`` take with them; hidden rows stay behind."""
    trace = rows.trace.keep(index)
    reasons = (*policy.reasons, LAST)
    return Exits(
        identity=rows.identity[index],
        probabilities=trace.last,
        depth=trace.depth,
        reason=[reasons[i] for i in decision[index].tolist()],
        said=trace.said,
    )
