"""Evaluation: outputs saved once, policies replayed over them, and their wall-clock time measured."""

from __future__ import annotations

from elbert.evaluation.cost import Latency, Timing, latencies, measure
from elbert.evaluation.outputs import Outputs, collect, load_outputs, split, target
from elbert.evaluation.report import PolicyScore, Report, evaluate

__all__ = [
    "Latency",
    "Outputs",
    "PolicyScore",
    "Report",
    "Timing",
    "collect",
    "evaluate",
    "latencies",
    "load_outputs",
    "measure",
    "split",
    "target",
]
