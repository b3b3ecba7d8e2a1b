"""Evaluation: the outputs of all depths are saved once; policies are replayed over them or timed."""

from __future__ import annotations

from elbert.evaluation.cost import Latency, Timing, measure_latencies, measure_throughput
from elbert.evaluation.outputs import FEWEST, Outputs, collect, load_outputs, split_indices
from elbert.evaluation.report import PolicyScore, Report, evaluate
from elbert.evaluation.targets import Targets, parse_target, read_targets, resolve_targets

__all__ = [
    "FEWEST",
    "Latency",
    "Outputs",
    "PolicyScore",
    "Report",
    "Targets",
    "Timing",
    "collect",
    "evaluate",
    "measure_latencies",
    "load_outputs",
    "measure_throughput",
    "parse_target",
    "read_targets",
    "resolve_targets",
    "split_indices",
]
