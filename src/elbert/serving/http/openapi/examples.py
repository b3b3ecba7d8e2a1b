"""Examples that work as they stand, on any model: its labels and points stand in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TEXT, PAIR = "A charming and often affecting journey.", "It was not a waste of time."


def examples(labels: Sequence[str], points: Sequence[str], depths: int) -> dict[str, Any]:
    """``{kind: {"request": …, "response": …}}``; figures are made up."""
    scores = _falling(labels)
    ranked = [{"score": score, "label": label} for label, score in scores.items()]
    best = next(iter(scores))
    batch = {"inputs": [[TEXT], [TEXT, PAIR]]}
    predict = {
        "request": {
            "text": {"value": {"inputs": TEXT}},
            "pair": {"value": {"inputs": [TEXT, PAIR], "truncate": True, "truncation_direction": "Left"}},
            "batch": {"value": batch},
        },
        "response": {"text": {"value": ranked}, "batch": {"value": [ranked, ranked]}},
    }
    item = {
        "index": 0,
        "label": best,
        "score": scores[best],
        "scores": scores,
        "depth": 1,
        "depths": depths,
        "reason": "entropy",
        "truncated": False,
        "tokens": 10,
        "operating_point": next(iter(points), "full"),
        "error": None,
    }
    usage = {"tokens": 10, "layer_tokens": 10}
    classify = {
        "request": {
            "texts": {"value": {"inputs": [TEXT, {"text": TEXT, "text_pair": PAIR}]}},
            "policy": {"value": {"inputs": [TEXT], "policy": "entropy(0.2)", "deadline_ms": 50, "trace": True}},
        },
        "response": {"texts": {"value": {"model": "elbert", "data": [item], "usage": usage}}},
    }
    root = {
        "request": {
            "hugging_face": {"value": {"inputs": TEXT, "parameters": {"top_k": 1}}},
            "tei": {"value": {"inputs": TEXT}},
        },
        "response": {"hugging_face": {"value": [ranked[:1]]}, "tei": {"value": ranked}},
    }
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}
    label = {"name": "label", "shape": [1], "datatype": "BYTES", "data": [best]}
    infer = {
        "request": {"text": {"value": {"id": "1", "inputs": [tensor], "outputs": [{"name": "label"}]}}},
        "response": {"text": {"value": {"model_name": "elbert", "model_version": "1", "id": "1", "outputs": [label]}}},
    }
    return {"Predict": predict, "Classify": classify, "Root": root, "Infer": infer}


def _falling(labels: Sequence[str]) -> dict[str, float]:
    """Probabilities that add up to 1, the last label's the highest."""
    total = sum(2.0**i for i in range(min(len(labels), 8)))
    some = labels[:8]
    return {label: round(2.0**i / total, 4) for i, label in reversed(list(enumerate(some)))}
