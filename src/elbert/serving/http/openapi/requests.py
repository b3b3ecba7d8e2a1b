"""Schemas of what is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elbert.serving.http.given import LONGEST_POLICY
from elbert.serving.http.hugging_face import FUNCTIONS
from elbert.serving.http.v2 import OUTPUTS

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
SOME: Schema = {"type": "string", "minLength": 1}
FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
PAIR: Schema = {"type": "array", "items": STRING, "minItems": 2, "maxItems": 2, "contains": SOME}
ALONE: Schema = {"type": "array", "items": SOME, "minItems": 1, "maxItems": 1}


def requests(most: int, points: Sequence[str]) -> dict[str, Schema]:
    """By name; a request has at most ``most`` texts."""
    policy = {
        "type": ["string", "null"],
        "maxLength": LONGEST_POLICY,
        "description": f"a spec such as entropy(0.2), or an operating point: {', '.join(points) or 'none here'}; "
        "unsaid, the point in force",
    }
    deadline = {
        "type": ["number", "null"],
        "exclusiveMinimum": 0,
        "description": "milliseconds from now, at which each text leaves with the best it has",
    }
    top_k = {"type": ["integer", "null"], "minimum": 1, "description": "how many labels; unsaid, all"}
    return {
        "PredictRequest": predict(most),
        "HuggingFaceRequest": hugging_face(most, top_k),
        "RootRequest": {
            "anyOf": [
                {"$ref": "#/components/schemas/HuggingFaceRequest"},
                {
                    "allOf": [
                        {"$ref": "#/components/schemas/PredictRequest"},
                        {"properties": {"parameters": {"not": {"type": "object"}}}},
                    ]
                },
            ]
        },
        "Text": {"anyOf": [STRING, text_object(STRING)]},
        "ClassifyRequest": {
            "type": "object",
            "required": ["inputs"],
            "additionalProperties": False,
            "properties": {
                "inputs": _array({"$ref": "#/components/schemas/Text"}, most),
                "policy": policy,
                "deadline_ms": deadline,
                "top_k": top_k,
                "trace": {"type": ["boolean", "null"], "description": "tell what every depth said"},
            },
        },
        "InferRequest": infer(most, policy, deadline),
    }


def predict(most: int) -> Schema:
    """TEI's."""
    return _object(
        {
            "inputs": {
                "anyOf": [SOME, ALONE, PAIR, _array({"anyOf": [ALONE, PAIR]}, most)],
                "description": "a text; an array of two texts, which is one pair; or a batch of arrays",
            },
            "truncate": {"type": ["boolean", "null"], "description": "null: as the server was started"},
            "truncation_direction": {"enum": ["left", "right", "Left", "Right"], "default": "right"},
            "raw_scores": {**FLAG, "default": False, "description": "logits instead of probabilities"},
        }
    )


def hugging_face(most: int, top_k: Schema) -> Schema:
    """Hugging Face's: told from TEI's by its object of parameters."""
    one = {"anyOf": [SOME, text_object(SOME)]}
    parameters = {
        "type": "object",
        "properties": {"top_k": top_k, "function_to_apply": {"enum": [*FUNCTIONS, None]}},
    }
    inputs = {"anyOf": [*one["anyOf"], _array({"anyOf": [*one["anyOf"], ALONE, PAIR]}, most)]}
    schema = _object({"inputs": inputs, "parameters": parameters})
    return {**schema, "required": ["inputs", "parameters"]}


def infer(most: int, policy: Schema, deadline: Schema) -> Schema:
    """The Open Inference Protocol's; that shapes fit the data cannot be said here."""
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"enum": ["text", "text_pair"]},
            "shape": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
            "datatype": {"const": "BYTES"},
            "data": _array({"anyOf": [STRING, {"type": "array", "items": STRING}]}, most),
        },
    }
    named = {"type": "object", "required": ["name"], "properties": {"name": {"enum": list(OUTPUTS)}}}
    return _object(
        {
            "id": {"type": ["string", "null"]},
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 2},
            "parameters": {"type": ["object", "null"], "properties": {"policy": policy, "deadline_ms": deadline}},
            "outputs": {"anyOf": [{"type": "null"}, {"type": "array", "items": named, "minItems": 1}]},
        }
    )


def text_object(text: Schema) -> Schema:
    """A text or a pair, by names."""
    properties = {"text": text, "text_pair": {"type": ["string", "null"]}}
    return {"type": "object", "required": ["text"], "additionalProperties": False, "properties": properties}


def _array(items: Schema, most: int) -> Schema:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most}


def _object(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "required": ["inputs"], "properties": properties}
