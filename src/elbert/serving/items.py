"""What comes of each text of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from elbert.errors import ElbertError
from elbert.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds: tokenising (the whole request), waiting to start, layer calls."""

    tokenise: float = 0.0
    queue: float = 0.0
    inference: float = 0.0


@dataclass(frozen=True, slots=True)
class Item:
    """One text's answer, or why it has none; ``index`` is its place in the request.

    ``point`` is the operating point under which it ran, or the spec where that has no name. ``logits`` by label are
    there where they were asked for.
    """

    index: int
    prediction: Prediction | None
    error: ElbertError | None
    point: str
    tokens: int = 0
    truncated: bool = False
    timings: Timings = Timings()
    logits: Mapping[str, float] | None = None

    @property
    def layer_tokens(self) -> int:
        """Its tokens times the layers that it took."""
        return 0 if self.prediction is None else self.tokens * self.prediction.depth
