"""Scores as each shape wants them: probabilities by the model's own function, by another, or logits."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, tanh
from typing import Any

from elbert.model import ModelConfig
from elbert.serving.results import Item


class Scoring:
    """What is done with logits where a request does not say; ``declared`` is ``problem_type`` of ``config.json``."""

    def __init__(self, config: ModelConfig, declared: str | None) -> None:
        one = config.multi_label or len(config.labels) == 1
        self.native = "none" if config.problem == "regression" else "sigmoid" if config.multi_label else "softmax"
        self.tei = "sigmoid" if one else "softmax"
        self.hugging_face = "none" if declared == "regression" else self.tei

    def needs_logits(self, function: str) -> bool:
        """Whether a prediction's own scores are not what is asked for."""
        return function != self.native

    def scores(self, item: Item, function: str) -> Mapping[str, float]:
        """By label."""
        if item.prediction is not None and not self.needs_logits(function):
            return item.prediction.scores
        return applied(function, item.logits or {})


def applied(function: str, logits: Mapping[str, float]) -> Mapping[str, float]:
    """``softmax``, ``sigmoid`` or ``none`` of logits, in double precision."""
    if function == "none":
        return logits
    if function == "sigmoid":
        return {label: 0.5 * (1 + tanh(logit / 2)) for label, logit in logits.items()}
    highest = max(logits.values(), default=0.0)
    powers = {label: exp(logit - highest) for label, logit in logits.items()}
    total = sum(powers.values())
    return {label: power / total for label, power in powers.items()}


def ranked(scores: Mapping[str, float], top_k: int | None = None) -> list[dict[str, Any]]:
    """``[{"score", "label"}, …]``, the highest first."""
    best = sorted(scores.items(), key=lambda score: score[1], reverse=True)
    return [{"score": score, "label": label} for label, score in best[:top_k]]
