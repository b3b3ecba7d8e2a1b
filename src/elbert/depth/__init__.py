"""Depth: live rows, the one function that takes them deeper, and what they answer when they leave."""

from elbert.depth.advance import Deeper, Exits, advance, deepen, same_weights, settle
from elbert.depth.answers import predictions
from elbert.depth.deadline import DEADLINE, call_off
from elbert.depth.loops import shrink
from elbert.depth.rows import Rows, admit, check_tokens
from elbert.depth.said import Said

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
