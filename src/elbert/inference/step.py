"""One step: every row of a call one layer deeper, and the rows that exit there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elbert.exits import LAST, STAY, Policy, Trace
from elbert.inference.head_output import Said
from elbert.inference.rows import Rows
from elbert.model import Backend, ModelConfig


@dataclass(frozen=True)
class Exits:
    """Rows that left: their answers, and where and why.

    identity ``[rows]``, probabilities and the logits behind them ``[rows, classes]``, depth ``[rows]`` from 1, reason
    per row; ``said`` ``[rows, depths, classes]`` where the trace remembered it (filled up to each row's depth).
    """

    identity: NDArray[np.int64]
    probabilities: NDArray[Any]
    logits: NDArray[Any]
    depth: NDArray[np.int64]
    reason: list[str]
    said: NDArray[Any] | None

    def __len__(self) -> int:
        """How many rows left."""
        return len(self.reason)

    def keep(self, mask: NDArray[np.bool_]) -> Exits:
        """Some of the rows that left."""
        return Exits(
            identity=self.identity[mask],
            probabilities=self.probabilities[mask],
            logits=self.logits[mask],
            depth=self.depth[mask],
            reason=[self.reason[i] for i in np.flatnonzero(mask).tolist()],
            said=None if self.said is None else self.said[mask],
        )


@dataclass(frozen=True)
class Deeper:
    """Rows whose layer has been asked for. ``said`` is None where nobody needs to hear their heads at this depth."""

    rows: Rows
    said: Said | None


def advance(rows: Rows, backend: Backend) -> tuple[Rows, Exits]:
    """Take every row one layer deeper; return those that stay and those that leave.

    The last depth always answers, for the reason ``last``, whatever the policy says there.
    """
    settled = [settle(deepen(part, backend), backend.config) for part in same_weights(rows, backend.config)]
    return Rows.join([staying for staying, _ in settled]), join_exits([exits for _, exits in settled])


def deepen(rows: Rows, backend: Backend) -> Deeper:
    """One layer deeper, and one word more from the exit head; all rows must need the same weights."""
    config, depth = backend.config, int(rows.trace.depth[0]) + 1
    hidden = backend.step(rows.hidden, rows.layout, config.group(depth))
    rows = Rows(rows.identity, rows.policies, hidden, rows.layout, rows.trace)
    if not heard(rows, config):
        return Deeper(rows, None)
    return Deeper(rows, Said.by(backend.read(hidden, rows.layout, config.head(depth)), config))


def settle(deeper: Deeper, config: ModelConfig) -> tuple[Rows, Exits]:
    """Hear what the heads said; the rows that stay, and those that leave."""
    rows, said = deeper.rows, deeper.said
    trace = rows.trace.pass_by() if said is None else rows.trace.hear(said.hear())
    rows = Rows(rows.identity, rows.policies, rows.hidden, rows.layout, trace)
    decision, reasons = decide(trace, rows.policies, config.depths)
    leaves = decision != STAY
    logits = trace.last if said is None else said.logits  # unheard, nobody leaves
    exits = depart(rows, leaves, [reasons[i] for i in decision[leaves].tolist()], logits)
    return (rows.keep(np.flatnonzero(~leaves)) if len(exits) else rows), exits


def heard(rows: Rows, config: ModelConfig) -> bool:
    """Whether anybody hears the heads at the depth that the rows have just reached.

    A policy that reads no signal (``full``, ``depth(k)``) needs the head only where a row leaves.
    """
    if rows.trace.remember or any(policy.signals for policy in distinct(rows.policies)):
        return True
    decision, _ = decide(rows.trace.pass_by(), rows.policies, config.depths)
    return bool((decision != STAY).any())


def decide(trace: Trace, policies: tuple[Policy, ...], depths: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """``decision [rows]``, an index into the reasons given beside it or STAY, by each row's own policy."""
    if len(distinct(policies)) == 1:
        decision, reasons = policies[0].decide(trace), policies[0].reasons
    else:
        decision, reasons = decide_by_several(trace, policies)
    decision[trace.depth >= depths] = len(reasons)
    return decision, (*reasons, LAST)


def decide_by_several(trace: Trace, policies: tuple[Policy, ...]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The same where rows have different policies: each policy looks at its own rows."""
    decision, reasons = np.full(len(policies), STAY), tuple[str, ...]()
    for policy in distinct(policies):
        own = np.array([other == policy for other in policies])
        found = policy.decide(trace.keep(own))
        decision[own] = np.where(found == STAY, STAY, found + len(reasons))
        reasons += policy.reasons
    return decision, reasons


def distinct(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """Each policy once; mostly there is one, and to see that costs less than to compare them."""
    if policies and all(policy is policies[0] for policy in policies):
        return policies[:1]
    return tuple(dict.fromkeys(policies))


def same_weights(rows: Rows, config: ModelConfig) -> Iterator[Rows]:
    """The rows in parts that may share a call: for ALBERT's one layer, all of them, whatever their depths."""
    needs = [] if config.all_shared else [config.need(depth) for depth in rows.trace.depth.tolist()]
    if len(set(needs)) < 2:
        yield rows
        return
    for need in sorted(set(needs)):
        yield rows.keep(np.array([i for i, n in enumerate(needs) if n == need]))


def depart(rows: Rows, leaves: NDArray[np.bool_], reason: list[str], logits: NDArray[Any]) -> Exits:
    """What the rows that leave take with them; hidden rows stay behind. ``logits [rows, classes]`` are all rows'."""
    trace = rows.trace
    return Exits(
        identity=rows.identity[leaves],
        probabilities=trace.last[leaves],
        logits=logits[leaves],
        depth=trace.depth[leaves],
        reason=reason,
        said=trace.said[leaves] if trace.remember else None,
    )


def join_exits(parts: list[Exits]) -> Exits:
    """The exits of several calls in one."""
    if len(parts) == 1:
        return parts[0]
    said = [part.said for part in parts if part.said is not None]
    return Exits(
        identity=np.concatenate([part.identity for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        logits=np.concatenate([part.logits for part in parts]),
        depth=np.concatenate([part.depth for part in parts]),
        reason=[reason for part in parts for reason in part.reason],
        said=np.concatenate(said) if said else None,
    )


DEADLINE = "deadline"  # why such rows left


def call_off(rows: Rows, backend: Backend) -> Exits:
    """All rows leave where they stand (depth 1 at least), with what the exit head says there.

    The head is read, again perhaps: a policy that reads no signal has not asked it.
    """
    heads = np.array([backend.config.head(depth) for depth in rows.trace.depth.tolist()])
    parts = [(head, rows.keep(np.flatnonzero(heads == head))) for head in set(heads.tolist())]
    return join_exits([_answer(part, backend, head) for head, part in parts])


def _answer(rows: Rows, backend: Backend, head: int) -> Exits:
    said = Said.by(backend.read(rows.hidden, rows.layout, head), backend.config)
    trace = replace(rows.trace, depth=rows.trace.depth - 1).hear(said.hear())
    rows = Rows(rows.identity, rows.policies, rows.hidden, rows.layout, trace)
    return depart(rows, np.ones(len(rows), bool), [DEADLINE] * len(rows), said.logits)


@torch.inference_mode()
def shrink(rows: Rows, backend: Backend) -> Iterator[Exits]:
    """Take a batch deeper until nobody is left; the places of those that leave stay empty (FastBERT, ACL 2020)."""
    while len(rows):
        rows, exits = advance(rows, backend)
        yield exits
