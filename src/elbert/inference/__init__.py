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
from elbert.inference.token_predictions import build_token_predictions
from elbert.inference.windows import TextWindows

__all__ = [
    "DEADLINE",
    "Exits",
    "HeadOutput",
    "PendingRows",
    "Rows",
    "TextWindows",
    "admit",
    "advance",
    "build_predictions",
    "build_token_predictions",
    "check_tokens",
    "deepen",
    "exit_at_deadline",
    "group_by_weights",
    "run_shrinking_batch",
    "settle",
]
