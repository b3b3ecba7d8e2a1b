"""The shapes of ranking: text-embeddings-inference's ``/rerank``, and ``/v1/rerank`` of Jina, Cohere and vLLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from elbert.exits import Policy
from elbert.ranking import ScoreFunction, order_scores, to_score
from elbert.serving.http.body import (
    MAX_TEXTS,
    ParsedRequest,
    PolicySpec,
    check_count,
    decode_json,
    to_whole_number,
)
from elbert.serving.http.errors import ApiError
from elbert.serving.http.schemas.tei import DirectionName, to_direction
from elbert.serving.results import TextResult

FORM = '{"query": a text, "texts": [a text, …], "truncate"?, "raw_scores"?, "return_text"?}'
DOCUMENTS_FORM = '{"query": a text, "documents": [a text or {"text"}, …], "model"?, "top_n"?, "return_documents"?}'
Results = Annotated[float, Meta(ge=0, multiple_of=1, description="number of results; 0, the default: all")]


class RerankRequest(Struct, kw_only=True):
    """A request in the shape of text-embeddings-inference; unknown fields are ignored, as it does."""

    query: str
    texts: Annotated[list[str], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_TEXTS})]
    truncate: Annotated[bool | None, Meta(description="cut pairs that are too long; default: --auto-truncate")] = None
    truncation_direction: DirectionName = None
    raw_scores: Annotated[bool, Meta(description="outputs of the model instead of their sigmoid")] = False
    return_text: Annotated[bool, Meta(description="add each text to its result")] = False
    policy: PolicySpec | None = None


class RankedDocument(Struct, kw_only=True):
    """A text's position in the request and its score; how deep it went, and why it exited there."""

    index: Annotated[int, Meta(ge=0)]
    score: float
    text: str | UnsetType = UNSET
    depth: Annotated[int, Meta(ge=1)]
    reason: str


class Document(Struct):
    """A text."""

    text: str


class DocumentsRequest(Struct, kw_only=True):
    """A request in the shape of Jina, Cohere and vLLM; unknown fields are ignored, as they do."""

    query: str
    documents: Annotated[list[str | Document], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_TEXTS})]
    model: Annotated[str | None, Meta(description="the served model; another name is answered with 404")] = None
    top_n: Results | None = None
    return_documents: Annotated[bool | None, Meta(description="add each document to its result")] = None
    policy: PolicySpec | None = None


class DocumentResult(Struct, kw_only=True):
    """A document's position in the request and its score; how deep it went, and why it exited there."""

    index: Annotated[int, Meta(ge=0)]
    document: Document | UnsetType = UNSET
    relevance_score: float
    depth: Annotated[int, Meta(ge=1)]
    reason: str


class DocumentsUsage(Struct):
    """Tokens of the query with each document; ``layer_tokens`` are tokens times the layers that were applied."""

    prompt_tokens: int
    total_tokens: int
    layer_tokens: int


class DocumentsResponse(Struct, kw_only=True):
    """The documents, the highest score first."""

    id: str
    model: str
    usage: DocumentsUsage
    results: list[DocumentResult]


_DECODER = msgspec.json.Decoder(RerankRequest)
_DOCUMENTS_DECODER = msgspec.json.Decoder(DocumentsRequest)


def parse_request(body: bytes | bytearray, max_texts: int) -> tuple[ParsedRequest, RerankRequest]:
    """Parse a body of at most ``max_texts`` texts in TEI's shape.

    Raises:
        ApiError: it has another shape or too many texts, or none.
    """
    request = decode_json(body, _DECODER, FORM, max_texts)
    parsed = ParsedRequest(
        pair_texts(request.query, request.texts, "texts", max_texts),
        truncate=request.truncate,
        direction=to_direction(request.truncation_direction),
        policy=request.policy,
        activation="none" if request.raw_scores else "sigmoid",
    )
    return parsed, request


def parse_documents_request(
    body: bytes | bytearray, max_texts: int, models: Sequence[str], default: ScoreFunction
) -> tuple[ParsedRequest, DocumentsRequest]:
    """Parse a body of at most ``max_texts`` documents; ``models`` are the names that its ``model`` may have.

    Raises:
        ApiError: it has another shape, too many documents or none, or the name of another model.
    """
    request = decode_json(body, _DOCUMENTS_DECODER, DOCUMENTS_FORM, max_texts)
    if request.model is not None and request.model not in models:
        raise ApiError("NotFound", f"no model {request.model!a:.80} here; expected {models[0]!a} (GET /v1/models)")
    texts = [entry if isinstance(entry, str) else entry.text for entry in request.documents]
    parsed = ParsedRequest(
        pair_texts(request.query, texts, "documents", max_texts),
        policy=request.policy,
        activation=default,
        top_k=to_whole_number(request.top_n) or None,
    )
    return parsed, request


def pair_texts(query: str, texts: Sequence[str], name: str, max_texts: int) -> list[tuple[str, str]]:
    """Return the query with each text.

    Raises:
        ApiError: there are no texts (``Empty``, as TEI has it) or too many.
    """
    if not texts:
        raise ApiError("Empty", f"`{name}` cannot be empty")
    check_count(len(texts), max_texts)
    return [(query, text) for text in texts]


def rank_items(items: Sequence[TextResult], activation: str | None, policy: Policy) -> list[Scored]:
    """Return results that have predictions with their scores, the highest first."""
    function: ScoreFunction = "none" if activation == "none" else "sigmoid"
    outputs = [next(iter((item.logits or {}).values())) for item in items]
    order, values = order_scores(outputs, [exit_of(item)[1] for item in items], policy)
    return [Scored(items[i], to_score(float(values[i]), function), *exit_of(items[i])) for i in order]


def exit_of(item: TextResult) -> tuple[int, str]:
    """Return the depth and the reason of a result's exit."""
    if item.prediction is None:
        raise ValueError(f"text {item.index} has no prediction")
    return item.prediction.depth, item.prediction.reason


class Scored(NamedTuple):
    """A result with its score, its depth and the reason of its exit."""

    item: TextResult
    score: float
    depth: int
    reason: str


def to_ranked(ranked: Sequence[Scored], request: RerankRequest) -> list[RankedDocument]:
    """Return TEI's answer."""
    return [
        RankedDocument(
            index=item.index,
            score=score,
            text=request.texts[item.index] if request.return_text else UNSET,
            depth=depth,
            reason=reason,
        )
        for item, score, depth, reason in ranked
    ]


def to_documents(
    ranked: Sequence[Scored], request: DocumentsRequest, parsed: ParsedRequest, model: str, name: str
) -> DocumentsResponse:
    """Return the answer in the shape of Jina, Cohere and vLLM; ``name`` is the request's."""
    tokens = sum(one.item.tokens for one in ranked)
    has_text = request.return_documents is not False
    results = [
        DocumentResult(
            index=item.index,
            document=Document(parsed.texts[item.index][1]) if has_text else UNSET,
            relevance_score=score,
            depth=depth,
            reason=reason,
        )
        for item, score, depth, reason in ranked[: parsed.top_k]
    ]
    layer_tokens = sum(one.item.layer_tokens for one in ranked)
    return DocumentsResponse(
        id=f"rerank-{name}", model=model, usage=DocumentsUsage(tokens, tokens, layer_tokens), results=results
    )
