"""Evaluation: outputs saved once, policies replayed over them, and their wall-clock time measured."""

from elbert.evaluation.evaluate import PolicyScore, Report, evaluate
from elbert.evaluation.outputs import Outputs, collect, load_outputs, split
from elbert.evaluation.targets import target
from elbert.evaluation.timing import Timing, measure

__all__ = [
    "Outputs",
    "PolicyScore",
    "Report",
    "Timing",
    "collect",
    "evaluate",
    "load_outputs",
    "measure",
    "split",
    "target",
]
