"""Inference: live rows, one step deeper, and the predictions of rows that exit."""

from __future__ import annotations

from elbert.inference.rows import Rows, admit, check_tokens
from elbert.inference.step import (
    DEADLINE,
    Exits,
    HeadOutput,
    PendingRows,
    advance,
    build_predictions,
    deepen,
    exit_at_deadline,
    group_by_weights,
    run_shrinking_batch,
    settle,
)

__all__ = [
    "DEADLINE",
    "Exits",
    "HeadOutput",
    "PendingRows",
    "Rows",
    "admit",
    "advance",
    "build_predictions",
    "check_tokens",
    "deepen",
    "exit_at_deadline",
    "group_by_weights",
    "run_shrinking_batch",
    "settle",
]
