"""Evaluation: the outputs of all depths are saved once; policies are replayed over them or timed."""

from __future__ import annotations

from elbert.evaluation.cost import Latency, Timing, measure_latencies, measure_throughput
from elbert.evaluation.outputs import Outputs, collect, load_outputs, parse_target, split_indices
from elbert.evaluation.report import PolicyScore, Report, evaluate

__all__ = [
    "Latency",
    "Outputs",
    "PolicyScore",
    "Report",
    "Timing",
    "collect",
    "evaluate",
    "measure_latencies",
    "load_outputs",
    "measure_throughput",
    "split_indices",
    "parse_target",
]
