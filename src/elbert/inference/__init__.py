"""Inference: live rows, one step deeper, and the predictions of rows that exit."""

from __future__ import annotations

from elbert.inference.documents import (
    CUT,
    Document,
    Windows,
    accumulate,
    build_documents,
    find_best,
    has_one_label,
    parse_long,
)
from elbert.inference.refilling import find_room_ahead, run_refilling
from elbert.inference.rows import Rows, admit, check_tokens
from elbert.inference.step import (
    DEADLINE,
    Exits,
    HeadOutput,
    PendingRows,
    advance,
    build_predictions,
    deepen,
    exit_here,
    group_by_weights,
    run_shrinking_batch,
    settle,
)
from elbert.inference.token_predictions import build_token_predictions

__all__ = [
    "CUT",
    "DEADLINE",
    "Document",
    "Exits",
    "HeadOutput",
    "PendingRows",
    "Rows",
    "Windows",
    "accumulate",
    "admit",
    "advance",
    "build_documents",
    "build_predictions",
    "build_token_predictions",
    "check_tokens",
    "deepen",
    "exit_here",
    "find_best",
    "find_room_ahead",
    "group_by_weights",
    "has_one_label",
    "parse_long",
    "run_refilling",
    "run_shrinking_batch",
    "settle",
]
