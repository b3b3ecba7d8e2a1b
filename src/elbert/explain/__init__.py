"""Explanations: why a text exited at its depth, and how a data set exits."""

from __future__ import annotations

from elbert.explain.depth_outputs import DepthOutput, TaggedWord
from elbert.explain.explainer import explain
from elbert.explain.explanation import Cost, Explanation, Rival
from elbert.explain.pieces import Piece
from elbert.explain.rule_tracks import RuleStep, RuleTrack
from elbert.explain.survey import Survey, survey

__all__ = [
    "DepthOutput",
    "Cost",
    "Explanation",
    "Piece",
    "Rival",
    "RuleStep",
    "RuleTrack",
    "Survey",
    "TaggedWord",
    "explain",
    "survey",
]
