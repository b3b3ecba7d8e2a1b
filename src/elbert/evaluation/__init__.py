"""Evaluation: outputs saved once, policies replayed over them, and their wall-clock time measured."""

from elbert.evaluation.evaluate import PolicyScore, Report, evaluate
from elbert.evaluation.outputs import Outputs, collect, load_outputs, split
from elbert.evaluation.targets import target
from elbert.evaluation.timing import Latency, Timing, latencies, measure

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
