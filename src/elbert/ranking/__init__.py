"""Ranking: lists of texts in the order of their scores for a query."""

from __future__ import annotations

from elbert.ranking.ranker import check_top, rank_lists
from elbert.ranking.scores import ScoreFunction, check_ranker, order_scores, read_score_function, to_score

__all__ = [
    "ScoreFunction",
    "check_ranker",
    "check_top",
    "order_scores",
    "rank_lists",
    "read_score_function",
    "to_score",
]
