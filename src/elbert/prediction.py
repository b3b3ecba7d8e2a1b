"""The prediction for one text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TraceStep:
    """Output of the exit head at one depth: the probability of each label, and their normalised entropy."""

    depth: int
    scores: Mapping[str, float]
    entropy: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predicted label of one text, and where and why the text exited.

    ``label`` is the most probable label and ``score`` its probability. A multi-label model gives every label a
    probability of its own in ``scores``; a regression model has its value in ``score``. ``depth``, from 1 to
    ``depths``, is the depth of the exit, and ``reason`` the rule (``entropy``, ``window``, …) or ``last``.
    ``truncated`` is whether the text is longer than the model reads, so that only a part of it was read.
    """

    label: str
    score: float
    depth: int
    depths: int
    reason: str
    scores: Mapping[str, float] = field(repr=False, default_factory=dict)
    trace: tuple[TraceStep, ...] | None = field(repr=False, default=None)
    truncated: bool = False
