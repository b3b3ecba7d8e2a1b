"""Inference: live rows, one step deeper, and the predictions of rows that exit."""

from __future__ import annotations

from elbert.inference.head_output import HeadOutput
from elbert.inference.predictions import build_predictions
from elbert.inference.rows import Rows, admit, check_tokens
from elbert.inference.step import (
    DEADLINE,
    Exits,
    PendingRows,
    advance,
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
