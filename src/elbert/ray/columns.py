"""Predictions as columns of Arrow, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from elbert.prediction import Prediction, TraceStep

if TYPE_CHECKING:
    import pyarrow as pa


PLAIN = ("label", "score", "depth", "depths", "reason")


def names(*, scores: bool, trace: bool, errors: bool) -> list[str]:
    """The columns that predictions take."""
    more = {"scores": scores, "trace": trace, "error": errors}
    return [*PLAIN, *(name for name, wanted in more.items() if wanted)]


def columns(
    found: Sequence[Prediction | None], labels: Sequence[str], *, scores: bool, trace: bool
) -> dict[str, pa.Array]:
    """A column for each part of a prediction; null where there is none.

    ``scores`` is a struct with a field a label, ``trace`` a list of ``{depth, scores, entropy}``.
    """
    import pyarrow as pa

    whole = pa.int64()
    types = dict(zip(PLAIN, (pa.string(), pa.float64(), whole, whole, pa.string()), strict=True))
    told = {name: pa.array([getattr(p, name, None) for p in found], kind) for name, kind in types.items()}
    by_label = pa.struct([(label, pa.float64()) for label in labels])
    if scores:
        told["scores"] = pa.array([None if p is None else dict(p.scores) for p in found], by_label)
    if trace:
        steps = pa.list_(pa.struct([("depth", whole), ("scores", by_label), ("entropy", pa.float64())]))
        told["trace"] = pa.array([None if p is None else _steps(p) for p in found], steps)
    return told


def prediction(row: Mapping[str, Any]) -> Prediction:
    """The prediction that a row's columns tell of."""
    steps = row.get("trace")
    trace = None if steps is None else tuple(TraceStep(s["depth"], s["scores"], s["entropy"]) for s in steps)
    plain = {name: row[name] for name in PLAIN}
    return Prediction(**plain, scores=row.get("scores") or {}, trace=trace)


def _steps(prediction: Prediction) -> list[dict[str, Any]]:
    return [{"depth": s.depth, "scores": dict(s.scores), "entropy": s.entropy} for s in prediction.trace or ()]
