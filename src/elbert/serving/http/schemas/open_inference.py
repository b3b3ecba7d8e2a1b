"""The shape of the Open Inference Protocol, version 2: tensors of texts in, tensors of results out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from elbert._display import plural
from elbert.serving.http.body import MAX_TEXTS, Milliseconds, ParsedRequest, PolicySpec, check_count, decode_json
from elbert.serving.http.errors import ApiError
from elbert.serving.results import TextResult
from elbert.tokenization.tokens import Text

FORM = '{"inputs": [{"name": "text", "shape": [n], "datatype": "BYTES", "data": [a text, …]}]}'
VERSION = "1"  # the only version of the model that is served
OUTPUTS = {"label": "BYTES", "score": "FP32", "scores": "FP32", "depth": "INT64", "reason": "BYTES"}


class InputTensor(Struct):
    """Texts, or the second texts of pairs; ``shape`` is ``[n]`` or ``[n, 1]`` for ``n`` texts in ``data``."""

    name: Literal["text", "text_pair"]
    shape: Annotated[list[int], Meta(min_length=1, max_length=2)]
    datatype: Literal["BYTES"]
    data: Annotated[list[str | list[str]], Meta(min_length=1, extra_json_schema={"maxItems": MAX_TEXTS})]


class InferParameters(Struct):
    """Options of the request."""

    policy: PolicySpec | None = None
    deadline_ms: Milliseconds | None = None


class RequestedOutput(Struct):
    """The name of an output."""

    name: Literal["label", "score", "scores", "depth", "reason"]


class InferRequest(Struct):
    """A tensor ``text``, and for pairs also ``text_pair`` of the same shape; by default all outputs are answered."""

    inputs: Annotated[list[InputTensor], Meta(min_length=1, max_length=2)]
    id: str | None = None
    parameters: InferParameters | None = None
    outputs: Annotated[list[RequestedOutput], Meta(min_length=1)] | None = None


class OutputTensor(Struct):
    """One output for all texts."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferResponse(Struct, kw_only=True):
    """The outputs; ``parameters`` has the operating point, and ``id`` is the request's own."""

    model_name: str
    model_version: str
    id: str | UnsetType = UNSET
    parameters: dict[str, str] | UnsetType = UNSET
    outputs: list[OutputTensor]


class TensorMetadata(Struct):
    """Name, type and shape of a tensor; -1 is any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Struct, kw_only=True):
    """The inputs and outputs of the model."""

    name: str
    versions: list[str]
    platform: str = "elbert"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(Struct):
    """The server."""

    name: str
    version: str
    extensions: list[str]


_DECODER = msgspec.json.Decoder(InferRequest)


def parse_request(body: bytes | bytearray, max_texts: int) -> tuple[ParsedRequest, InferRequest]:
    """Parse a body; the second value has its ``id`` and the outputs that it names.

    Raises:
        ApiError: it has another shape, or more than ``max_texts`` texts.
    """
    request = decode_json(body, _DECODER, FORM, max_texts)
    tensors = {tensor.name: _texts_of(tensor) for tensor in request.inputs}
    if "text" not in tensors or len(tensors) != len(request.inputs):
        raise ApiError(
            "Validation", f"inputs: expected one tensor text, and for pairs one tensor text_pair; a request is {FORM}"
        )
    first, second = tensors["text"], tensors.get("text_pair")
    if second is not None and len(second) != len(first):
        raise ApiError("Validation", f"text_pair has {len(second)} elements, expected {len(first)} as in text")
    check_count(len(first), max_texts)
    texts: Sequence[Text] = first if second is None else list(zip(first, second, strict=True))
    parameters = request.parameters or InferParameters()
    return ParsedRequest(texts, policy=parameters.policy, deadline_ms=parameters.deadline_ms), request


def to_response(model: str, request: InferRequest, items: Sequence[TextResult], labels: Sequence[str]) -> InferResponse:
    """Return the whole answer; every item has a prediction."""
    found = [item.prediction for item in items if item.prediction is not None]
    n = len(found)
    values: dict[str, tuple[list[int], list[Any]]] = {
        "label": ([n], [p.label for p in found]),
        "score": ([n], [p.score for p in found]),
        "scores": ([n, len(labels)], [p.scores[label] for p in found for label in labels]),
        "depth": ([n], [p.depth for p in found]),
        "reason": ([n], [p.reason for p in found]),
    }
    named = OUTPUTS if request.outputs is None else dict.fromkeys(output.name for output in request.outputs)
    return InferResponse(
        model_name=model,
        model_version=VERSION,
        id=UNSET if request.id is None else request.id,
        parameters={"operating_point": items[0].point},
        outputs=[OutputTensor(name, values[name][0], OUTPUTS[name], values[name][1]) for name in named],
    )


def to_metadata(model: str, labels: int) -> ModelMetadata:
    """Describe the model."""
    return ModelMetadata(
        name=model,
        versions=[VERSION],
        inputs=[TensorMetadata("text", "BYTES", [-1])],
        outputs=[
            TensorMetadata(name, datatype, [-1, labels] if name == "scores" else [-1])
            for name, datatype in OUTPUTS.items()
        ],
    )


def _texts_of(tensor: InputTensor) -> list[str]:
    texts = [text for row in tensor.data for text in (row if isinstance(row, list) else [row])]
    if tensor.shape not in ([len(texts)], [len(texts), 1]):
        raise ApiError(
            "Validation",
            f"shape: got {tensor.shape}, expected [{len(texts)}] for {plural(len(texts), 'text')} of {tensor.name}",
        )
    return texts
