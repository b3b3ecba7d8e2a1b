"""What a text's classification is, once it has left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TraceStep:
    """What the exit head said after one depth: its probabilities by label, and their normalised entropy."""

    depth: int
    scores: Mapping[str, float]
    entropy: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one text, and where and why it left.

    ``label`` is the answer and ``score`` its probability; for a multi-label model ``label`` is the most probable
    label and ``scores`` holds every label's own probability; for a regression model ``score`` is the value.
    ``depth`` (from 1) of ``depths`` is where the text left, for ``reason`` (``entropy``, ``window``, …, ``last``).
    """

    label: str
    score: float
    depth: int
    depths: int
    reason: str
    scores: Mapping[str, float] = field(repr=False, default_factory=dict)
    trace: tuple[TraceStep, ...] | None = field(repr=False, default=None)
