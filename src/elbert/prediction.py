"""The prediction for one text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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

    def to_dict(self, *, scores: bool = True) -> dict[str, Any]:
        """Return the fields as plain values for JSON; ``scores`` and ``trace`` only if there are any."""
        values: dict[str, Any] = {
            "label": self.label,
            "score": self.score,
            "depth": self.depth,
            "depths": self.depths,
            "reason": self.reason,
            "truncated": self.truncated,
        }
        if scores and self.scores:
            values["scores"] = dict(self.scores)
        if self.trace is not None:
            values["trace"] = [
                {"depth": step.depth, "scores": dict(step.scores), "entropy": step.entropy} for step in self.trace
            ]
        return values

    def _repr_html_(self) -> str:
        """Return the table that notebooks show."""
        return Predictions([self])._repr_html_()


class Predictions(list[Prediction]):
    """A list of predictions, which notebooks show as a table."""

    def _repr_html_(self) -> str:
        from elbert import _html

        rows = [
            (number, p.label, _html.bar(p.score, p.score), f"{p.depth} of {p.depths}", p.reason)
            for number, p in enumerate(self[: _html.MAX_ROWS])
        ]
        hidden = len(self) - len(rows)
        note = f"and {hidden:,} more" if hidden else ""
        return _html.table(("", "label", "score", "depth", "reason"), rows, note=note)
