"""One step: every row of a batch goes one layer deeper, and rows whose policy fires exit.

:func:`advance` does both halves: :func:`deepen` queues the layer and the exit head, :func:`settle` waits for the
head's output and decides. The engine calls the halves apart, so that on an accelerator it can decide about one batch
while another computes. Native code computes and decides in one call, in the first half.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elbert.exits import LAST, STAY, Policy, Trace
from elbert.exits.joint_decision import decide_jointly
from elbert.exits.token_trace import TokenTrace, select_segments
from elbert.exits.trace import read_entropy
from elbert.inference.native_step import run_native_step
from elbert.inference.rows import Rows
from elbert.model import Backend, ModelConfig
from elbert.model.isolation import isolated
from elbert.model.layout import round_up
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
    counts:        ``[rows]``, the number of answers of each row, for token rows: ``rows`` is then the number of all
                   answers in the shapes of probabilities, logits and trace; else None
    """

    identity: NDArray[np.int64]
    probabilities: NDArray[Any]
    logits: NDArray[Any]
    depth: NDArray[np.int64]
    reason: list[str]
    trace: NDArray[Any] | None
    counts: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.reason)

    def keep(self, mask: NDArray[np.bool_]) -> Exits:
        """Return the rows where ``mask [rows]`` is true."""
        answers = mask if self.counts is None else np.repeat(mask, self.counts)
        return Exits(
            identity=self.identity[mask],
            probabilities=self.probabilities[answers],
            logits=self.logits[answers],
            depth=self.depth[mask],
            reason=[self.reason[i] for i in np.flatnonzero(mask).tolist()],
            trace=None if self.trace is None else self.trace[answers],
            counts=None if self.counts is None else self.counts[mask],
        )

    def find_finite(self) -> NDArray[np.bool_]:
        """``[rows]``: whether all probabilities of a row are finite."""
        is_finite: NDArray[np.bool_] = np.isfinite(self.probabilities).all(-1)
        if self.counts is None:
            return is_finite
        rows = np.repeat(np.arange(len(self.counts)), self.counts)
        return np.asarray(np.bincount(rows[~is_finite], minlength=len(self.counts)) == 0)


@dataclass(frozen=True)
class PendingRows:
    """Rows whose layer is queued. ``head_output`` is None if no policy needs the exit head at this depth, or if native
    code has decided, in ``rows.live``."""

    rows: Rows
    head_output: HeadOutput | None


def advance(rows: Rows, backend: Backend) -> tuple[Rows, Exits]:
    """Take every row one layer deeper; return the rows that stay and those that exit.

    At the last depth every row exits with the reason ``last``, whatever its policy decides there.
    """
    results = [settle(deepen(part, backend), backend.config) for part in group_by_weights(rows, backend.config)]
    staying = [part for part, _ in results if part is not None]
    exits = [part for _, part in results if part is not None]
    none = np.zeros(0, np.int64)
    return (
        Rows.join(staying) if staying else rows.keep(none),
        join_exits(exits) if exits else build_exits(rows, none, [], rows.trace.last),
    )


def deepen(rows: Rows, backend: Backend, layers: int = 1) -> PendingRows:
    """Queue the next layer, and the exit head where it is needed; all rows must need the same weights.

    Native code makes up to ``layers`` layers, one by one, until a row exits.
    """
    if (deeper := run_native_step(rows, backend, layers)) is not None:
        return PendingRows(deeper, None)
    config, depth = backend.config, int(rows.trace.depth[0]) + 1
    hidden = backend.step(rows.hidden, rows.layout, config.group(depth))
    rows = Rows(rows.identity, rows.policies, hidden, rows.layout, rows.trace)
    if not is_head_needed(rows, config):
        return PendingRows(rows, None)
    return PendingRows(rows, HeadOutput.start_copy(read_head(rows, backend, config.head(depth)), config))


def settle(pending: PendingRows, config: ModelConfig) -> tuple[Rows | None, Exits | None]:
    """Wait for the head's output and decide; return the rows that stay, if any, and those that exit, if any."""
    rows, output = pending.rows, pending.head_output
    if rows.live is not None:
        if not rows.live.exits:
            return rows, None
        decision, logits = rows.live.decision, rows.live.logits
        index = np.flatnonzero(decision != STAY)
        names = name_reasons(rows.policies, decision, index)
    else:
        trace = rows.trace.skip_depth() if output is None else rows.trace.record(output.wait())
        rows = Rows(rows.identity, rows.policies, rows.hidden, rows.layout, trace)
        decision, reasons = decide(trace, rows.policies, config.depths)
        index = np.flatnonzero(decision != STAY)
        if not len(index):
            return rows, None
        names = [reasons[rule] for rule in decision[index].tolist()]
        logits = trace.last if output is None else output.logits  # without an output no row exits, so none are used
    staying = rows.keep(np.flatnonzero(decision == STAY)) if len(index) < len(rows) else None
    return staying, build_exits(rows, index, names, logits)


def run_shrinking_batch(rows: Rows, backend: Backend) -> Iterator[Exits]:
    """Advance one batch until it is empty; places of rows that exit stay empty (FastBERT, ACL 2020)."""
    while len(rows):
        with isolated():
            rows, exits = advance(rows, backend)
        yield exits


def exit_here(rows: Rows, backend: Backend, reason: str) -> Exits:
    """Exit all rows at the depth they have reached, at least 1, for a reason that is no rule of their policies.

    The head is read even if it was read before: a policy that reads no signal skips it.
    """
    heads = np.array([backend.config.head(depth) for depth in rows.trace.depth.tolist()])
    parts = [(head, rows.keep(np.flatnonzero(heads == head))) for head in set(heads.tolist())]
    return join_exits([_exit_all(part, backend, head, reason) for head, part in parts])


def _exit_all(rows: Rows, backend: Backend, head: int, reason: str) -> Exits:
    output = HeadOutput.start_copy(read_head(rows, backend, head), backend.config)
    trace = replace(rows.trace, depth=rows.trace.depth - 1).record(output.wait())  # this depth again
    rows = Rows(rows.identity, rows.policies, rows.hidden, rows.layout, trace)
    return build_exits(rows, np.arange(len(rows)), [reason] * len(rows), output.logits)


def read_head(rows: Rows, backend: Backend, head: int) -> Tensor:
    """``[rows, classes]``, or ``[answers, classes]`` of token rows: logits in float32."""
    trace, layout = rows.trace, rows.layout
    if not isinstance(trace, TokenTrace):
        return backend.read(rows.hidden, layout, head)
    starts = np.cumsum(layout.lengths) - layout.lengths
    answers = len(trace.positions)
    index = np.zeros(round_up(max(answers, 1)), np.int64)  # few sizes, as in Layout
    index[:answers] = starts[trace.row] + trace.positions
    return backend.read(rows.hidden.index_select(0, layout.to_device(index)), layout, head)[:answers]


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


def name_reasons(policies: Sequence[Policy], decision: NDArray[np.int64], index: NDArray[np.int64]) -> list[str]:
    """The reasons of the rows ``index``, from the numbers of their policies' rules, ``decision [rows]``."""
    rules = zip(index.tolist(), decision[index].tolist(), strict=True)
    return [(*policies[row].reasons, LAST)[rule] for row, rule in rules]


def build_exits(rows: Rows, index: NDArray[np.int64], reason: list[str], logits: NDArray[Any]) -> Exits:
    """Collect what the rows ``index`` carry out; ``logits [rows, classes]`` covers all rows."""
    trace, depth = rows.trace, rows.trace.depth[index]
    if isinstance(trace, TokenTrace):
        answers = select_segments(trace.counts, index)
        return Exits(
            identity=rows.identity[index],
            probabilities=trace.last[answers],
            logits=logits[answers],
            depth=depth,
            reason=reason,
            trace=trace.probabilities[answers] if trace.keep_trace else None,
            counts=trace.counts[index],
        )
    return Exits(
        identity=rows.identity[index],
        probabilities=trace.probabilities[index, depth - 1],
        logits=logits[index],
        depth=depth,
        reason=reason,
        trace=trace.probabilities[index] if trace.keep_trace else None,
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
        counts=None if parts[0].counts is None else np.concatenate([p.counts for p in parts if p.counts is not None]),
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
