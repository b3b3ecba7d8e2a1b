"""What there is to say about one text: plain values, from which terminal, figure, page and JSON are made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from elbert.explaining.clock import Clock
from elbert.explaining.pieces import Piece
from elbert.explaining.rules import RuleTrack
from elbert.model.config import Problem


@dataclass(frozen=True)
class AtDepth:
    """What the exit head said after one depth, and what policies read in it.

    ``label`` is the most probable label and ``score`` its probability; ``answer`` are the labels said (one, or for a
    multi-label model those above one half). ``since`` is the depth from which the answer has been the same.
    ``divergence`` is from the depth before, in nats; None at the first. ``attention [tokens]`` is what the head's
    token gives to every token, mean over heads; None where it was not asked for. ``flops`` counts the row so far.
    """

    depth: int
    scores: Mapping[str, float]
    label: str
    score: float
    answer: tuple[str, ...]
    since: int
    entropy: float
    confidence: float
    gap: float
    divergence: float | None
    flops: int
    attention: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Rival:
    """Where another policy would have let the text leave; ``kind`` is point, rival or oracle.

    ``depth`` is None for an oracle whose wish no depth fulfils; ``right`` is None where no label was given.
    """

    policy: str
    kind: str
    depth: int | None
    reason: str
    label: str | None
    score: float | None
    right: bool | None


@dataclass(frozen=True)
class Cost:
    """Counted, not measured: shares saved against full depth, whose head is read once."""

    layers_saved: float
    computation_saved: float
    flops: int
    flops_full: int


@dataclass(frozen=True)
class Explanation:
    """Why one text left where it did, depth by depth.

    ``policy`` is the spec and ``point`` the operating point of that policy, if it is one. ``truth`` are the labels
    that the text should have (None: not given). ``reader`` is whose attention is shown: ``[CLS]``, or ``mean`` where
    the head reads the mean of the tokens.
    """

    text: str
    text_pair: str | None
    model: str
    dtype: str
    policy: str
    point: str | None
    problem: Problem
    labels: tuple[str, ...]
    truth: tuple[str, ...] | None
    tokens: tuple[Piece, ...]
    truncated: bool
    depth: int
    depths: int
    reason: str
    why: str
    steps: tuple[AtDepth, ...]
    rules: tuple[RuleTrack, ...]
    rivals: tuple[Rival, ...]
    reader: str
    cost: Cost
    clock: Clock | None

    @property
    def left(self) -> AtDepth:
        """What was said where the text left: the answer."""
        return self.steps[self.depth - 1]

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values that JSON can hold."""
        values: dict[str, Any] = plain(asdict(self))
        return {"kind": "text", **values}


def plain(value: Any) -> Any:
    """The same with lists for tuples, and None for what is no finite number."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
