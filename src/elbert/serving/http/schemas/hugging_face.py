"""The shape of Hugging Face's inference clients: ``inputs`` with an object of ``parameters``, answered nested."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

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
from elbert.serving.http.schemas.tei import TextOrPair, to_text_or_pair

FORM = '{"inputs": a text or an array of texts, "parameters": {"top_k"?, "function_to_apply"?}}'


class HuggingFaceParameters(Struct):
    """Options of a call; unknown ones are ignored."""

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
