"""Inference: live rows, one step deeper, and the predictions of rows that exit."""

from __future__ import annotations

from elbert.inference.head_output import Said
from elbert.inference.predictions import predictions
from elbert.inference.rows import Rows, admit, check_tokens
from elbert.inference.step import DEADLINE, Deeper, Exits, advance, call_off, deepen, same_weights, settle, shrink

__all__ = [
    "DEADLINE",
    "Deeper",
    "Exits",
    "Rows",
    "Said",
    "admit",
    "advance",
    "call_off",
    "check_tokens",
    "deepen",
    "predictions",
    "same_weights",
    "settle",
    "shrink",
]
