"""Many rows in one native call, which fills the places of rows that exit with rows that wait.

Python then costs as much for a call as otherwise for a layer. It is for input whose rows need no look between layers:
no deadlines and no lists. The engine's ordinary way, row by row as in :mod:`elbert.inference.step`, is its reference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elbert.exits import STAY, Policy
from elbert.inference.native_step import lower_all, name_task
from elbert.inference.rows import Rows, concatenate, start_text_trace
from elbert.inference.step import Exits, build_exits, name_reasons
from elbert.model import Backend, Layout
from elbert.model.backend import as_refilling
from elbert.model.native import Places, Refill
from elbert.tokenization import Tokens

AHEAD = 4  # times the places that a call may take of waiting rows: most are done before its time is over
SECONDS = 0.25  # of a call, and a layer more: it cannot be interrupted


def find_room_ahead(backend: Backend, places: Places) -> tuple[int, int] | None:
    """The most waiting rows that a call may take, and their tokens; None where the backend needs calls of single
    steps."""
    return None if as_refilling(backend) is None else (AHEAD * places.rows, AHEAD * places.tokens)


def run_refilling(
    rows: Rows | None,
    tokens: Sequence[Tokens],
    identity: Sequence[int],
    policies: Sequence[Policy],
    backend: Backend,
    places: Places,
    *,
    drain: bool,
    keep_trace: bool,
    seconds: float = SECONDS,
) -> tuple[Rows | None, Exits | None, int] | None:
    """Start texts ``tokens``, with these identities and policies, as places are free beside ``rows``.

    Returns the rows that have started and not exited, if any, those that exit, if any, and the number of texts that
    have started: all of them, unless ``seconds`` are over. With ``drain`` all exit, unless they are over. ``rows`` are
    not changed. None where the backend, or the policy of a row, needs the general path.
    """
    config = backend.config
    all_policies = (*(rows.policies if rows is not None else ()), *policies)
    native_policies = lower_all(all_policies, config, config.task.content)
    if (refilling := as_refilling(backend)) is None or native_policies is None:
        return None
    waiting = np.fromiter(map(len, tokens), np.int64, len(tokens))
    total = int(waiting.sum())
    trace = start_text_trace(len(all_policies), config, keep_trace=keep_trace)
    numbers, lengths = np.asarray(identity, np.int64), waiting
    if rows is not None:
        trace.probabilities[: len(rows)] = rows.trace.probabilities
        numbers, lengths = np.concatenate((rows.identity, numbers)), np.concatenate((rows.layout.lengths, waiting))
    call = Refill(
        places,
        native_policies,
        lengths,
        concatenate((text.ids for text in tokens), total),
        concatenate((text.type_ids for text in tokens), total),
        None if rows is None else rows.hidden,
        np.zeros(0, np.int64) if rows is None else rows.trace.depth,
        trace.probabilities,
        name_task(config),
        drain=drain,
        seconds=seconds,
        keep_trace=keep_trace,
        scale=config.scale,
    )
    hidden = refilling.refill(call)
    trace.depth[:] = call.depth
    done = Rows(numbers, all_policies, hidden, Layout(lengths, backend.device), trace)
    index = np.flatnonzero(call.decision != STAY)
    exits = (
        build_exits(done, index, name_reasons(all_policies, call.decision, index), call.logits) if len(index) else None
    )
    remaining, started = call.remaining, len(tokens) - call.waiting
    if not len(remaining):
        return None, exits, started
    layout = Layout(lengths[remaining], backend.device)
    hidden[layout.tokens : layout.size] = 0
    kept = tuple(all_policies[row] for row in remaining.tolist())
    return Rows(numbers[remaining], kept, hidden[: layout.size], layout, trace.keep(remaining)), exits, started
