"""Our own shape, ``/v1/classify``: every text by itself, with where and why it left."""

from __future__ import annotations

from typing import Any

from elbert.serving.http.errors import kind, one_line
from elbert.serving.http.given import (
    Wanted,
    counted,
    deadline_of,
    flag,
    kind_of,
    object_of,
    policy_of,
    refused,
    text_or_pair,
    top_k_of,
)
from elbert.serving.results import Item

FORM = '{"inputs": [a text or {"text", "text_pair"}, …], "policy"?, "deadline_ms"?, "top_k"?, "trace"?}'
KNOWN = {"inputs", "policy", "deadline_ms", "top_k", "trace"}


def wanted(given: Any, most: int) -> Wanted:
    """Read a body; a field that nobody knows is refused, since a mistyped one would be obeyed by none.

    Raises:
        Refusal: it has another shape, or more than ``most`` texts.
    """
    body = object_of(given, FORM)
    if unknown := [name for name in body if name not in KNOWN]:
        raise refused(f"{unknown[0]!a:.80} is nothing that a request holds; expected {FORM}")
    inputs = body["inputs"]
    if not isinstance(inputs, list):
        raise refused(f"inputs is {kind_of(inputs)}; expected {FORM}")
    counted(len(inputs), most)
    return Wanted(
        [text_or_pair(entry, number) for number, entry in enumerate(inputs)],
        policy=policy_of(body),
        deadline_ms=deadline_of(body),
        trace=bool(flag(body, "trace")),
        top_k=top_k_of(body),
    )


def entry(item: Item, asked: Wanted) -> dict[str, Any]:
    """An item as it is told; what it has not is null."""
    prediction = item.prediction
    told: dict[str, Any] = {
        "index": item.index,
        "label": None,
        "score": None,
        "scores": None,
        "depth": None,
        "depths": None,
        "reason": None,
        "truncated": item.truncated,
        "tokens": item.tokens,
        "operating_point": item.point,
        "error": None,
    }
    if prediction is None:
        wrong = item.error
        told["error"] = wrong and {"message": one_line(str(wrong)), "error_type": kind(wrong)}
        return told
    best = sorted(prediction.scores.items(), key=lambda score: score[1], reverse=True)
    told |= {
        "label": prediction.label,
        "score": prediction.score,
        "scores": dict(best[: asked.top_k]),
        "depth": prediction.depth,
        "depths": prediction.depths,
        "reason": prediction.reason,
    }
    if asked.trace:
        steps = prediction.trace or ()
        told["trace"] = [{"depth": s.depth, "scores": dict(s.scores), "entropy": s.entropy} for s in steps]
    return told


def answer(model: str, items: list[Item], asked: Wanted) -> dict[str, Any]:
    """The whole answer."""
    return {
        "model": model,
        "data": [entry(item, asked) for item in items],
        "usage": {
            "tokens": sum(item.tokens for item in items),
            "layer_tokens": sum(item.layer_tokens for item in items),
        },
    }
