"""Depth: live rows, the one function that takes them deeper, and what they answer when they leave."""

from elbert.depth.advance import Exits, advance
from elbert.depth.answers import predictions
from elbert.depth.batches import batches
from elbert.depth.rows import Rows, admit

__all__ = ["Exits", "Rows", "admit", "advance", "batches", "predictions"]
