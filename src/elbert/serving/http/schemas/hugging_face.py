"""The shape of Hugging Face's inference clients: ``inputs`` with an object of ``parameters``, answered nested."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from elbert.prediction import Prediction, TokenPrediction
from elbert.serving.http.body import (
    MAX_TEXTS,
    ParsedRequest,
    TextPair,
    TopK,
    check_count,
    check_not_empty,
    decode_json,
    to_text,
    to_whole_number,
)
from elbert.serving.http.errors import ApiError
from elbert.serving.http.schemas.tei import TextOrPair, to_text_or_pair

FORM = '{"inputs": a text or an array of texts, "parameters": {"top_k"?, "function_to_apply"?}}, no other parameters'


class HuggingFaceParameters(Struct, forbid_unknown_fields=True):
    """Options of a call. Others are refused: a zero-shot call must not be answered with this model's labels."""

    top_k: TopK | None = None
    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = None


class HuggingFaceRequest(Struct):
    """A call of Hugging Face's clients; unlike TEI's shape it has an object of parameters."""

    inputs: (
        str
        | TextPair
        | Annotated[list[str | TextPair | TextOrPair], Meta(min_length=1, extra_json_schema={"maxItems": MAX_TEXTS})]
    )
    parameters: HuggingFaceParameters


class _Parameters(Struct):
    parameters: Raw | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(HuggingFaceRequest)
_PROBE = msgspec.json.Decoder(_Parameters)


def has_parameters(body: bytes | bytearray) -> bool:
    """Whether a body has an object of parameters, and so this shape and not TEI's."""
    try:
        parameters = _PROBE.decode(body).parameters
    except (ValueError, RecursionError):  # of neither shape; the parser of the other will reject it
        return False
    return isinstance(parameters, Raw) and bytes(parameters).startswith(b"{")


def parse_request(body: bytes | bytearray, max_texts: int) -> ParsedRequest:
    """Parse a body. Here ``["a", "b"]`` are two texts; a pair is ``{"text", "text_pair"}`` or an array in the array.

    Raises:
        ApiError: it has another shape or more than ``max_texts`` texts, or a text is empty.
    """
    request = decode_json(body, _DECODER, FORM, max_texts)
    entries = request.inputs if isinstance(request.inputs, list) else [request.inputs]
    check_count(len(entries), max_texts)
    texts = [to_text_or_pair(entry) if isinstance(entry, list) else to_text(entry) for entry in entries]
    check_not_empty(texts)
    parameters = request.parameters
    return ParsedRequest(texts, activation=parameters.function_to_apply, top_k=to_whole_number(parameters.top_k))


class TokenParameters(Struct, forbid_unknown_fields=True):
    """Options of a call that tags tokens; others are refused."""

    aggregation_strategy: str | None = None
    ignore_labels: list[str] | None = None


class TokenRequest(Struct):
    """A call of Hugging Face's clients for token classification."""

    inputs: str | Annotated[list[str], Meta(min_length=1, extra_json_schema={"maxItems": MAX_TEXTS})]
    parameters: TokenParameters | None = None


class TokenEntity(Struct):
    """A span, with the names of Hugging Face's clients."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


TOKEN_FORM = (
    '{"inputs": a text or an array of texts, "parameters"?: {"aggregation_strategy"?, "ignore_labels"?}}, no others'
)
_TOKEN_DECODER = msgspec.json.Decoder(TokenRequest)


def parse_token_request(body: bytes | bytearray, max_texts: int, strategy: str) -> tuple[ParsedRequest, frozenset[str]]:
    """Parse a body; return it and the labels that the answer leaves out. ``strategy`` is the model's.

    Raises:
        ApiError: it has another shape or more than ``max_texts`` texts, a text is empty, or it names another strategy.
    """
    request = decode_json(body, _TOKEN_DECODER, TOKEN_FORM, max_texts)
    texts = request.inputs if isinstance(request.inputs, list) else [request.inputs]
    check_count(len(texts), max_texts)
    check_not_empty(texts)
    parameters = request.parameters or TokenParameters()
    if parameters.aggregation_strategy not in (None, strategy):
        raise ApiError(
            "Validation",
            f"aggregation_strategy is {parameters.aggregation_strategy!a:.40}, and this model's is {strategy!r}: "
            "leave it out",
        )
    return ParsedRequest(texts, isinstance(request.inputs, list)), frozenset(parameters.ignore_labels or ())


def to_entities(prediction: Prediction | None, ignored: frozenset[str]) -> list[TokenEntity]:
    """Return the spans of a text."""
    found = prediction.entities if isinstance(prediction, TokenPrediction) else ()
    return [TokenEntity(e.label, e.score, e.word, e.start, e.end) for e in found if e.label not in ignored]
