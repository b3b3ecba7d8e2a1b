"""Explaining: why a text left where it did, and how a whole data set leaves."""

from elbert.explaining.explain import explain
from elbert.explaining.explanation import AtDepth, Cost, Explanation, Rival
from elbert.explaining.pieces import Piece
from elbert.explaining.rules import RuleStep, RuleTrack
from elbert.explaining.survey import Survey, survey

__all__ = [
    "AtDepth",
    "Cost",
    "Explanation",
    "Piece",
    "Rival",
    "RuleStep",
    "RuleTrack",
    "Survey",
    "explain",
    "survey",
]
