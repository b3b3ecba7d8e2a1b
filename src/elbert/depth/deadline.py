"""The deadline: rows that must answer now, with the best that they have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from elbert.depth.advance import Exits, depart, join_exits
from elbert.depth.rows import Rows
from elbert.depth.said import Said
from elbert.model import Backend

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
