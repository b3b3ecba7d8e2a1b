"""Predictions as Arrow columns, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from elbert.prediction import Prediction, TraceStep

if TYPE_CHECKING:
    import pyarrow as pa


PLAIN = ("label", "score", "depth", "depths", "reason", "truncated")


def column_names(*, scores: bool, trace: bool, errors: bool) -> list[str]:
    """The names of the columns that predictions take."""
    optional = {"scores": scores, "trace": trace, "error": errors}
    return [*PLAIN, *(name for name, is_included in optional.items() if is_included)]


def to_columns(
    predictions: Sequence[Prediction | None], labels: Sequence[str], *, scores: bool, trace: bool
) -> dict[str, pa.Array]:
    """A column for each part of a prediction; null where there is none.

    ``scores`` is a struct with one field per label, ``trace`` a list of ``{depth, scores, entropy}``.
    """
    import pyarrow as pa

    integer = pa.int64()
    types = dict(zip(PLAIN, (pa.string(), pa.float64(), integer, integer, pa.string(), pa.bool_()), strict=True))
    columns = {name: pa.array([getattr(p, name, None) for p in predictions], kind) for name, kind in types.items()}
    by_label = pa.struct([(label, pa.float64()) for label in labels])
    if scores:
        columns["scores"] = pa.array([None if p is None else dict(p.scores) for p in predictions], by_label)
    if trace:
        steps = pa.list_(pa.struct([("depth", integer), ("scores", by_label), ("entropy", pa.float64())]))
        columns["trace"] = pa.array([None if p is None else _to_steps(p) for p in predictions], steps)
    return columns


def to_prediction(row: Mapping[str, Any]) -> Prediction:
    """The prediction in a row's columns."""
    steps = row.get("trace")
    trace = None if steps is None else tuple(TraceStep(s["depth"], s["scores"], s["entropy"]) for s in steps)
    plain = {name: row[name] for name in PLAIN}
    return Prediction(**plain, scores=row.get("scores") or {}, trace=trace)


def _to_steps(prediction: Prediction) -> list[dict[str, Any]]:
    return [{"depth": s.depth, "scores": dict(s.scores), "entropy": s.entropy} for s in prediction.trace or ()]
