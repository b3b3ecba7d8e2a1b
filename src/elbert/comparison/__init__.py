"""Comparison: every family of policies at every cost, told in one report."""

from __future__ import annotations

from elbert.comparison.comparison import Comparison, compare
from elbert.comparison.holdout import Contest, Duel, contest

__all__ = ["Comparison", "Contest", "Duel", "compare", "contest"]
