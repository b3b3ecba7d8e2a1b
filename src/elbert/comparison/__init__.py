"""Comparison: every family of policies at every cost, in one report."""

from __future__ import annotations

from elbert.comparison.comparison import Comparison, compare
from elbert.comparison.holdout import CostComparison, PairedTest, compare_at_speedups

__all__ = ["Comparison", "CostComparison", "PairedTest", "compare", "compare_at_speedups"]
