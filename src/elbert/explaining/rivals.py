"""Where each rival would have let the same text leave, and the oracles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from elbert.evaluation import Outputs
from elbert.evaluation.metrics import right
from elbert.exits import Policy, Replay, policy
from elbert.explaining.earliest import NEVER, first, from_then_on
from elbert.explaining.explanation import Rival

POINT, RIVAL, ORACLE = "point", "rival", "oracle"
USUAL = (
    "entropy(0.1)",
    "entropy(0.3)",
    "confidence(0.9)",
    "gap(0.8)",
    "patience(3)",
    "patient_confidence(2, 0.3)",
    "divergence(2, 0.01)",
    "window(0.1, 6, agree)",
    "window(0.1, 6, trend)",
    "window(0.1, 6, stable)",
)


def rivals(outputs: Outputs, points: Mapping[str, Policy], label: NDArray[Any] | None) -> tuple[Rival, ...]:
    """The model's operating points, a usual few and the oracles, for the one text of ``outputs``.

    ``label [1]``, or for multi-label ``[1, classes]``, or None: then the oracle that needs it is absent.
    """
    said = outputs.probabilities
    replayed = Replay(said, multi_label=outputs.multi_label)
    correct = None if label is None else right(replace(outputs, labels=label))

    def rival(name: str, kind: str, depth: int, reason: str) -> Rival:
        if depth == NEVER:
            return Rival(name, kind, None, reason, None, None, None)
        here = said[0, depth - 1]
        best = int(here.argmax())
        told = None if correct is None else bool(correct[0, depth - 1])
        return Rival(name, kind, depth, reason, outputs.label_names[best], float(here[best]), told)

    def contestants() -> Iterator[tuple[str, str, Policy]]:
        yield from ((name, POINT, chosen) for name, chosen in points.items())
        yield from ((spec, RIVAL, policy(spec)) for spec in USUAL)

    found = [
        rival(name, kind, int(replayed.exits(chosen)[0]), replayed.reasons(chosen)[0])
        for name, kind, chosen in contestants()
    ]
    agrees = right(outputs.unlabelled())
    wishes = {"earliest as the last": agrees, "earliest settled": from_then_on(agrees)}
    if correct is not None:
        wishes = {"earliest correct": correct} | wishes
    return (*found, *(rival(name, ORACLE, int(first(holds)[0]), ORACLE) for name, holds in wishes.items()))
