"""Predictions as Arrow columns, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from elbert.prediction import Entity, Prediction, TokenPrediction, TraceStep, Word

if TYPE_CHECKING:
    import pyarrow as pa


PLAIN = ("label", "score", "depth", "depths", "reason", "truncated")


ENTITY = ("label", "score", "start", "end", "word")
WORD = ("word", "tag", "score", "start", "end")
WINDOWS = ("windows", "windows_read")


def column_names(*, scores: bool, trace: bool, windows: bool, tags: bool) -> list[str]:
    """The names of the columns that predictions take."""
    optional = {"entities": tags, "words": tags and scores, "scores": scores and not tags, "trace": trace}
    return [
        *PLAIN,
        *(WINDOWS if windows else ()),
        *(name for name, is_included in optional.items() if is_included),
    ]


def to_columns(
    predictions: Sequence[Prediction | None],
    labels: Sequence[str],
    *,
    scores: bool,
    trace: bool,
    windows: bool = False,
    tags: bool = False,
) -> dict[str, pa.Array]:
    """A column for each part of a prediction; null where there is none.

    ``scores`` is a struct with one field per label, ``trace`` a list of ``{depth, scores, entropy}``. Of a
    token classifier, ``tags``, there are ``entities``, a list of structs, and with ``scores`` ``words``.
    """
    import pyarrow as pa

    integer = pa.int64()
    types = dict(zip(PLAIN, (pa.string(), pa.float64(), integer, integer, pa.string(), pa.bool_()), strict=True))
    columns = {name: pa.array([getattr(p, name, None) for p in predictions], kind) for name, kind in types.items()}
    if windows:
        columns |= {name: pa.array([getattr(p, name, None) for p in predictions], integer) for name in WINDOWS}
    if tags:
        for name, fields in (("entities", ENTITY), ("words", WORD))[: 1 + scores]:
            kinds = {"score": pa.float64(), "start": integer, "end": integer}
            kind = pa.list_(pa.struct([(key, kinds.get(key, pa.string())) for key in fields]))
            parts = [None if p is None else [part.to_dict() for part in getattr(p, name)] for p in predictions]
            columns[name] = pa.array(parts, kind)
        return columns
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
    # Depths of the windows are no column; their number is.
    windows = row.get("windows")
    read = (row["depth"],) * row["windows_read"] if windows is not None else ()
    if (entities := row.get("entities")) is not None:
        words = tuple(Word(**word) for word in row.get("words") or ())
        spans = tuple(Entity(**entity) for entity in entities)
        return TokenPrediction(**plain, windows=windows, window_depths=read, entities=spans, words=words)
    scores = row.get("scores") or {}
    return Prediction(**plain, scores=scores, trace=trace, windows=windows, window_depths=read)


def _to_steps(prediction: Prediction) -> list[dict[str, Any]]:
    return [{"depth": s.depth, "scores": dict(s.scores), "entropy": s.entropy} for s in prediction.trace or ()]
