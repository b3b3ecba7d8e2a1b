"""Answers: what rows that left say to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from elbert.exits.signals import entropy, questions
from elbert.inference.step import Exits
from elbert.model import ModelConfig
from elbert.prediction import Prediction, TraceStep


def predictions(exits: Exits, config: ModelConfig) -> Iterator[tuple[int, Prediction]]:
    """``(identity, prediction)`` of every row that left; with a trace where one was remembered."""
    depths, answers = exits.depth.tolist(), exits.probabilities.tolist()
    for row, (identity, scores, depth) in enumerate(zip(exits.identity.tolist(), answers, depths, strict=True)):
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
                trace=None if exits.said is None else trace_steps(exits.said[row, :depth], config),
            ),
        )


def trace_steps(said: NDArray[Any], config: ModelConfig) -> tuple[TraceStep, ...]:
    """The steps of a row that said ``said [depths so far, classes]``."""
    asked = questions(said, config.multi_label)
    entropies = entropy(asked, asked).tolist()
    return tuple(
        TraceStep(depth, dict(zip(config.labels, scores, strict=True)), entropies[depth - 1])
        for depth, scores in enumerate(said.tolist(), 1)
    )
