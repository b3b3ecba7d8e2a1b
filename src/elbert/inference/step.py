"""One step: every row of a batch goes one layer deeper, and rows whose policy fires exit.

:func:`advance` does both halves: :func:`deepen` queues the layer and the exit head, :func:`settle` waits for the
head's output and decides. The engine calls the halves apart, so that on an accelerator it can decide about one batch
while another computes.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elbert.exits import LAST, STAY, Policy, Trace
from elbert.exits.joint_decision import decide_jointly
from elbert.exits.trace import read_entropy
from elbert.inference.rows import Rows
from elbert.model import Backend, ModelConfig
from elbert.model.isolation import isolated
from elbert.prediction import Prediction, TraceStep

DEADLINE = "deadline"  # the reason of rows that exit because their deadline comes


@dataclass(frozen=True)
class Exits:
    """Rows that have exited.

    identity:      ``[rows]``
    probabilities: ``[rows, classes]``
    logits:        ``[rows, classes]``
    depth:         ``[rows]``, from 1
    reason:        one per row
    trace:         ``[rows, depths, classes]`` probabilities, filled up to each row's depth; None where not kept
    """

    identity: NDArray[np.int64]
    probabilities: NDArray[Any]
    logits: NDArray[Any]
    depth: NDArray[np.int64]
    reason: list[str]
    trace: NDArray[Any] | None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.reason)

    def keep(self, mask: NDArray[np.bool_]) -> Exits:
        """Return the rows where ``mask [rows]`` is true."""
        return Exits(
            identity=self.identity[mask],
            probabilities=self.probabilities[mask],
            logits=self.logits[mask],
            depth=self.depth[mask],
            reason=[self.reason[i] for i in np.flatnonzero(mask).tolist()],
            trace=None if self.trace is None else self.trace[mask],
        )


@dataclass(frozen=True)
class PendingRows:
    """Rows whose layer is queued. ``head_output`` is None if no policy needs the exit head at this depth."""

    rows: Rows
    head_output: HeadOutput | None


def advance(rows: Rows, backend: Backend) -> tuple[Rows, Exits]:
    """Take every row one layer deeper; return the rows that stay and those that exit.

    At the last depth every row exits with the reason ``last``, whatever its policy decides there.
    """
    results = [settle(deepen(part, backend), backend.config) for part in group_by_weights(rows, backend.config)]
    return Rows.join([staying for staying, _ in results]), join_exits([exits for _, exits in results])


def deepen(rows: Rows, backend: Backend) -> PendingRows:
    """Queue the next layer, and the exit head where it is needed; all rows must need the same weights."""
    config, depth = backend.config, int(rows.trace.depth[0]) + 1
    hidden = backend.step(rows.hidden, rows.layout, config.group(depth))
    rows = Rows(rows.identity, rows.policies, hidden, rows.layout, rows.trace)
    if not is_head_needed(rows, config):
        return PendingRows(rows, None)
    return PendingRows(rows, HeadOutput.start_copy(backend.read(hidden, rows.layout, config.head(depth)), config))


def settle(pending: PendingRows, config: ModelConfig) -> tuple[Rows, Exits]:
    """Wait for the head's output and decide; return the rows that stay and those that exit."""
    rows, output = pending.rows, pending.head_output
    trace = rows.trace.skip_depth() if output is None else rows.trace.record(output.wait())
    rows = Rows(rows.identity, rows.policies, rows.hidden, rows.layout, trace)
    decision, reasons = decide(trace, rows.policies, config.depths)
    is_exit = decision != STAY
    logits = trace.last if output is None else output.logits  # without an output no row exits, so none are used
    exits = build_exits(rows, is_exit, [reasons[i] for i in decision[is_exit].tolist()], logits)
    return (rows.keep(np.flatnonzero(~is_exit)) if len(exits) else rows), exits


def run_shrinking_batch(rows: Rows, backend: Backend) -> Iterator[Exits]:
    """Advance one batch until it is empty; places of rows that exit stay empty (FastBERT, ACL 2020)."""
    while len(rows):
        with isolated():
            rows, exits = advance(rows, backend)
        yield exits


def exit_at_deadline(rows: Rows, backend: Backend) -> Exits:
    """Exit all rows at the depth they have reached, at least 1.

    The head is read even if it was read before: a policy that reads no signal skips it.
    """
    heads = np.array([backend.config.head(depth) for depth in rows.trace.depth.tolist()])
    parts = [(head, rows.keep(np.flatnonzero(heads == head))) for head in set(heads.tolist())]
    return join_exits([_exit_all(part, backend, head) for head, part in parts])


def _exit_all(rows: Rows, backend: Backend, head: int) -> Exits:
    output = HeadOutput.start_copy(backend.read(rows.hidden, rows.layout, head), backend.config)
    trace = replace(rows.trace, depth=rows.trace.depth - 1).record(output.wait())  # this depth again
    rows = Rows(rows.identity, rows.policies, rows.hidden, rows.layout, trace)
    return build_exits(rows, np.ones(len(rows), bool), [DEADLINE] * len(rows), output.logits)


def is_head_needed(rows: Rows, config: ModelConfig) -> bool:
    """Whether the exit head must be read at the depth that the rows have just reached.

    A policy that reads no signal (``full``, ``depth(k)``) needs the head only where a row exits.
    """
    if rows.trace.keep_trace or any(policy.signals for policy in unique_policies(rows.policies)):
        return True
    decision, _ = decide(rows.trace.skip_depth(), rows.policies, config.depths)
    return bool((decision != STAY).any())


def decide(trace: Trace, policies: tuple[Policy, ...], depths: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Apply each row's policy: ``decision [rows]``, an index into the returned reasons or STAY."""
    unique = unique_policies(policies)
    if len(unique) == 1:
        decision, reasons = unique[0].decide(trace), unique[0].reasons
    else:
        numbers = {id(policy): number for number, policy in enumerate(unique)}
        policy_of_row = np.array([numbers[id(policy)] for policy in policies])
        if len(unique) < JOINT_POLICIES:
            decision, reasons = decide_one_by_one(trace, unique, policy_of_row)
        else:
            decision, reasons = decide_jointly(trace, unique, policy_of_row, depths)
    decision[trace.depth >= depths] = len(reasons)
    return decision, (*reasons, LAST)


JOINT_POLICIES = 12  # from so many different policies on, it is faster to decide about all of them together


def decide_one_by_one(
    trace: Trace, policies: tuple[Policy, ...], policy_of_row: NDArray[np.int64]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Decide where rows follow ``policies[policy_of_row]``: each policy sees its own rows."""
    decision, reasons = np.full(len(policy_of_row), STAY), tuple[str, ...]()
    for number, policy in enumerate(policies):
        is_own = policy_of_row == number
        own_decision = policy.decide(trace.keep(is_own))
        decision[is_own] = np.where(own_decision == STAY, STAY, own_decision + len(reasons))
        reasons += policy.reasons
    return decision, reasons


def unique_policies(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """Return each policy object once: a server has one for equal specs, and identity is cheaper than equality."""
    if policies and all(policy is policies[0] for policy in policies):
        return policies[:1]
    return tuple({id(policy): policy for policy in policies}.values())


def group_by_weights(rows: Rows, config: ModelConfig) -> Iterator[Rows]:
    """Yield the rows in parts that can share a call: for ALBERT's one layer, all rows, whatever their depths."""
    keys = [] if config.is_all_shared else [config.weights_key(depth) for depth in rows.trace.depth.tolist()]
    if len(set(keys)) < 2:
        yield rows
        return
    for key in sorted(set(keys)):
        yield rows.keep(np.array([i for i, other in enumerate(keys) if other == key]))


def build_exits(rows: Rows, is_exit: NDArray[np.bool_], reason: list[str], logits: NDArray[Any]) -> Exits:
    """Collect what the exiting rows carry out; ``is_exit [rows]`` and ``logits [rows, classes]`` cover all rows."""
    trace = rows.trace
    return Exits(
        identity=rows.identity[is_exit],
        probabilities=trace.last[is_exit],
        logits=logits[is_exit],
        depth=trace.depth[is_exit],
        reason=reason,
        trace=trace.probabilities[is_exit] if trace.keep_trace else None,
    )


def join_exits(parts: list[Exits]) -> Exits:
    """Concatenate the exits of several calls."""
    if len(parts) == 1:
        return parts[0]
    traces = [part.trace for part in parts if part.trace is not None]
    return Exits(
        identity=np.concatenate([part.identity for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        logits=np.concatenate([part.logits for part in parts]),
        depth=np.concatenate([part.depth for part in parts]),
        reason=[reason for part in parts for reason in part.reason],
        trace=np.concatenate(traces) if traces else None,
    )


@dataclass(frozen=True)
class HeadOutput:
    """Probabilities and logits ``[rows, classes]``, on the host or being copied to it.

    On an accelerator the copy is asynchronous, so that other rows can compute until :meth:`wait` is called.
    """

    probabilities: Tensor
    raw_logits: Tensor
    copied: torch.cuda.Event | None

    @classmethod
    def start_copy(cls, logits: Tensor, config: ModelConfig) -> HeadOutput:
        """Start to copy ``logits [rows, classes]`` and their probabilities to the host."""
        probabilities = config.probabilities(logits)
        if logits.device.type == "cpu":
            return cls(probabilities, logits, None)
        host = torch.empty((2, *logits.shape), dtype=logits.dtype, device="cpu", pin_memory=True)
        host.copy_(torch.stack((probabilities, logits)), non_blocking=True)  # one copy, because each has a fixed cost
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record()
        return cls(host[0], host[1], copied)

    def wait(self) -> NDArray[Any]:
        """Wait for the copy and return the probabilities ``[rows, classes]``."""
        if self.copied is not None:
            self.copied.synchronize()
        array: NDArray[Any] = self.probabilities.numpy()
        return array

    @property
    def logits(self) -> NDArray[Any]:
        """The logits ``[rows, classes]``; valid after :meth:`wait`."""
        array: NDArray[Any] = self.raw_logits.numpy()
        return array


def build_predictions(
    exits: Exits, config: ModelConfig, truncated: Container[int] = ()
) -> Iterator[tuple[int, Prediction]]:
    """Yield ``(identity, prediction)`` of every row, with its trace where one was kept.

    ``truncated`` has the identities of rows whose text was truncated.
    """
    depths, probabilities = exits.depth.tolist(), exits.probabilities.tolist()
    for row, (identity, scores, depth) in enumerate(zip(exits.identity.tolist(), probabilities, depths, strict=True)):
        best = max(range(len(scores)), key=scores.__getitem__)
        yield (
            identity,
            Prediction(
                label=config.labels[best],
                score=scores[best],
                depth=depth,
                depths=config.depths,
                reason=exits.reason[row],
                scores=dict(zip(config.labels, scores, strict=True)),
                trace=None if exits.trace is None else build_trace_steps(exits.trace[row, :depth], config),
                truncated=identity in truncated,
            ),
        )


def build_trace_steps(probabilities: NDArray[Any], config: ModelConfig) -> tuple[TraceStep, ...]:
    """Return one step per depth from a row's ``probabilities [depths so far, classes]``."""
    entropies = read_entropy(probabilities, config.multi_label).tolist()
    return tuple(
        TraceStep(depth, dict(zip(config.labels, scores, strict=True)), entropies[depth - 1])
        for depth, scores in enumerate(probabilities.tolist(), 1)
    )
