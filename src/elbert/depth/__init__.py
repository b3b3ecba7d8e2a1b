"""Depth: live rows, and the one function that takes them deeper."""

from elbert.depth.advance import Exits, advance
from elbert.depth.rows import Rows, admit

__all__ = ["Exits", "Rows", "admit", "advance"]
