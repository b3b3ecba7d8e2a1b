"""How others exit early, on our own backend: waiting for the slowest row, or shrinking the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from elbert.exits import Policy
from elbert.inference import Rows, admit, deepen, run_shrinking_batch
from elbert.inference.step import decide
from elbert.model import Backend
from elbert.tokenization import Tokens

Way = Callable[[Rows, Backend], int]  # runs a batch to its end; returns the sum of the exit depths


def by_shrinking(rows: Rows, backend: Backend) -> int:
    """FastBERT (ACL 2020): rows that are done are taken out, their places stay empty."""
    return sum(int(exits.depth.sum()) for exits in run_shrinking_batch(rows, backend))


@torch.inference_mode()
def by_waiting(rows: Rows, backend: Backend) -> int:
    """PABEE (NeurIPS 2020): the batch goes on, whole, until its last row is done."""
    answered = np.zeros(len(rows), np.int64)
    while not answered.all():
        deeper = deepen(rows, backend)
        if deeper.rows.live is not None:  # native code has decided
            rows, decision = deeper.rows, deeper.rows.live.decision
            answered = np.where((answered == 0) & (decision >= 0), rows.trace.depth, answered)
            continue
        trace = rows.trace.skip_depth() if deeper.head_output is None else rows.trace.record(deeper.head_output.wait())
        rows = Rows(rows.identity, rows.policies, deeper.rows.hidden, rows.layout, trace)
        decision, _ = decide(trace, rows.policies, backend.config.depths)
        answered = np.where((answered == 0) & (decision >= 0), trace.depth, answered)
    return int(answered.sum())


def run(way: Way, tokens: Sequence[Tokens], backend: Backend, policy: Policy, size: int) -> float:
    """Mean depth of rows taken ``size`` at a time, like with like in length."""
    order = sorted(tokens, key=lambda t: -len(t.ids))
    batches = (order[i : i + size] for i in range(0, len(order), size))
    return sum(way(rows, backend) for rows in admitted(batches, backend, policy)) / len(tokens)


def admitted(batches: Iterator[Sequence[Tokens]], backend: Backend, policy: Policy) -> Iterator[Rows]:
    """Batches of tokens as rows at depth 0."""
    for batch in batches:
        with torch.inference_mode():
            yield admit(batch, range(len(batch)), backend, policy)
