"""The shape of the Open Inference Protocol, version 2: tensors of texts in, tensors of answers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elbert.serving.http.given import Wanted, counted, deadline_of, kind_of, object_of, policy_of, refused
from elbert.serving.results import Item
from elbert.texts import Text

FORM = '{"inputs": [{"name": "text", "shape": [n], "datatype": "BYTES", "data": [a text, …]}]}'
NAMES = ("text", "text_pair")
VERSION = "1"  # the only one of the model that is served
OUTPUTS = {"label": "BYTES", "score": "FP32", "scores": "FP32", "depth": "INT64", "reason": "BYTES"}


def wanted(given: Any, most: int) -> Wanted:
    """Read a body: a tensor ``text``, and for pairs a tensor ``text_pair`` of the same shape.

    Raises:
        Refusal: it has another shape, or more than ``most`` texts.
    """
    body = object_of(given, FORM)
    tensors = body["inputs"]
    if not isinstance(tensors, list):
        raise refused(f"inputs is {kind_of(tensors)}; expected {FORM}")
    named = dict(_tensor(tensor) for tensor in tensors[: len(NAMES) + 1])
    if "text" not in named or len(named) != len(tensors):
        raise refused("expected one tensor text, and for pairs one tensor text_pair")
    first, second = named["text"], named.get("text_pair")
    if second is not None and len(second) != len(first):
        raise refused(f"text has {len(first)} elements and text_pair {len(second)}; expected as many")
    counted(len(first), most)
    texts: Sequence[Text] = first if second is None else list(zip(first, second, strict=True))
    parameters = body.get("parameters")
    if not isinstance(parameters, dict | None):
        raise refused(f"parameters is {kind_of(parameters)}, expected an object")
    return Wanted(texts, policy=policy_of(parameters or {}), deadline_ms=deadline_of(parameters or {}))


def chosen_outputs(given: dict[str, Any]) -> list[str]:
    """The outputs that a body asks for; all where it names none.

    Raises:
        Refusal: there is none of such a name.
    """
    asked = given.get("outputs")
    if asked is None:
        return list(OUTPUTS)
    if not isinstance(asked, list) or not asked:
        raise refused('outputs must be an array such as [{"name": "label"}]')
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in asked]
    if not all(isinstance(name, str) and name in OUTPUTS for name in names):
        raise refused(f"outputs must be named among {', '.join(OUTPUTS)}")
    return list(dict.fromkeys(str(name) for name in names))


def identity_of(given: dict[str, Any]) -> str | None:
    """The caller's name for the request, which comes back.

    Raises:
        Refusal: it is no text.
    """
    value = given.get("id")
    if not isinstance(value, str | None):
        raise refused(f"id is {kind_of(value)}, expected a text")
    return value


def answer(
    name: str, version: str, identity: str | None, items: Sequence[Item], labels: Sequence[str], outputs: Sequence[str]
) -> dict[str, Any]:
    """The whole answer; every item has a prediction."""
    found = [item.prediction for item in items if item.prediction is not None]
    n = len(found)
    data: dict[str, tuple[list[int], list[Any]]] = {
        "label": ([n], [p.label for p in found]),
        "score": ([n], [p.score for p in found]),
        "scores": ([n, len(labels)], [p.scores[label] for p in found for label in labels]),
        "depth": ([n], [p.depth for p in found]),
        "reason": ([n], [p.reason for p in found]),
    }
    told: dict[str, Any] = {"model_name": name, "model_version": version}
    if identity is not None:
        told["id"] = identity
    told["parameters"] = {"operating_point": items[0].point}
    told["outputs"] = [
        {"name": output, "shape": data[output][0], "datatype": OUTPUTS[output], "data": data[output][1]}
        for output in outputs
    ]
    return told


def metadata(name: str, version: str, labels: int) -> dict[str, Any]:
    """What the model takes and gives."""
    shapes = {output: [-1, labels] if output == "scores" else [-1] for output in OUTPUTS}
    return {
        "name": name,
        "versions": [version],
        "platform": "elbert",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": o, "datatype": kind, "shape": shapes[o]} for o, kind in OUTPUTS.items()],
    }


def _tensor(tensor: Any) -> tuple[str, list[str]]:
    if not isinstance(tensor, dict):
        raise refused(f"a tensor is {kind_of(tensor)}; expected {FORM}")
    name, shape, data = tensor.get("name"), tensor.get("shape"), tensor.get("data")
    if name not in NAMES or tensor.get("datatype") != "BYTES":
        raise refused(f"expected tensors {' and '.join(NAMES)} of datatype BYTES")
    if not isinstance(shape, list) or not all(isinstance(size, int) and not isinstance(size, bool) for size in shape):
        raise refused("a tensor's shape must be an array of whole numbers")
    if not isinstance(data, list):
        raise refused(f"a tensor's data is {kind_of(data)}, expected an array of texts")
    flat = [text for row in data for text in (row if isinstance(row, list) else [row])]
    if not all(isinstance(text, str) for text in flat):
        raise refused("a tensor's data must be texts")
    if shape not in ([len(flat)], [len(flat), 1]):
        raise refused(f"a tensor of {len(flat)} texts must have the shape [{len(flat)}]")
    return str(name), flat
