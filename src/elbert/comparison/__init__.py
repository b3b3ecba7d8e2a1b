"""Comparison: every family of policies at every cost, told in one report."""

from elbert.comparison.compare import Comparison, compare
from elbert.comparison.honest import Contest, Duel, contest

__all__ = ["Comparison", "Contest", "Duel", "compare", "contest"]
