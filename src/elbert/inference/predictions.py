"""Predictions from rows that have exited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from elbert.exits.signals import entropy, to_distributions
from elbert.inference.step import Exits
from elbert.model import ModelConfig
from elbert.prediction import Prediction, TraceStep


def build_predictions(exits: Exits, config: ModelConfig) -> Iterator[tuple[int, Prediction]]:
    """Yield ``(identity, prediction)`` of every row, with its trace where one was kept."""
    depths, probabilities = exits.depth.tolist(), exits.probabilities.tolist()
    for row, (identity, scores, depth) in enumerate(zip(exits.identity.tolist(), probabilities, depths, strict=True)):
        best = max(range(len(scores)), key=scores.__getitem__)
        yield (
            identity,
            Prediction(
                label=config.labels[best],
                score=scores[best],
                depth=depth,
                depths=config.depths,
                reason=exits.reason[row],
                scores=dict(zip(config.labels, scores, strict=True)),
                trace=None if exits.trace is None else build_trace_steps(exits.trace[row, :depth], config),
            ),
        )


def build_trace_steps(probabilities: NDArray[Any], config: ModelConfig) -> tuple[TraceStep, ...]:
    """Return one step per depth from a row's ``probabilities [depths so far, classes]``."""
    distributions = to_distributions(probabilities, config.multi_label)
    entropies = entropy(distributions, distributions).tolist()
    return tuple(
        TraceStep(depth, dict(zip(config.labels, scores, strict=True)), entropies[depth - 1])
        for depth, scores in enumerate(probabilities.tolist(), 1)
    )
