"""The shape of ``/v1/classify``: the classification API of vLLM and SGLang, with this server's fields beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from elbert.prediction import TokenPrediction, TokenTraceStep, TraceStep
from elbert.serving.http.body import (
    MAX_TEXTS,
    LongSpec,
    Milliseconds,
    ParsedRequest,
    PolicySpec,
    TextPair,
    TopK,
    check_count,
    decode_json,
    to_text,
    to_whole_number,
)
from elbert.serving.http.errors import ApiError, error_kind, one_line
from elbert.serving.results import TextResult

FORM = (
    '{"input": a text or [a text or {"text", "text_pair"}, …], "policy"?, "deadline_ms"?, "top_k"?, "trace"?, '
    '"long"?}; '
    "token ids are not accepted"
)
Texts = Annotated[
    list[str | TextPair],
    Meta(min_length=1, description="texts, or pairs of texts", extra_json_schema={"maxItems": MAX_TEXTS}),
]


class ClassifyRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Texts, not token ids, in ``input`` or, as version 0.1 had it, ``inputs``; a mistyped field is an error."""

    input: str | Texts | UnsetType = UNSET
    inputs: Texts | UnsetType = UNSET
    model: Annotated[str | None, Meta(description="the served model; another name is answered with 404")] = None
    user: Annotated[str | None, Meta(description="accepted and ignored")] = None
    truncate_prompt_tokens: (
        Annotated[int, Meta(ge=-1, description="tokens to keep; -1: what the model reads")] | None
    ) = None
    policy: PolicySpec | None = None
    deadline_ms: Milliseconds | None = None
    top_k: TopK | None = None
    trace: Annotated[bool | None, Meta(description="add the scores of every depth")] = None
    long: LongSpec | None = None


class WordEntry(Struct):
    """A word and its tag."""

    word: str
    tag: str
    score: float


class TraceEntry(Struct):
    """What the exit head gives after one depth: ``scores`` by label, or from a token classifier ``words``.

    Of words, ``least_settled`` is the index of the one with the highest entropy, and ``signals`` are what policies
    read, each that of its least settled word; null where a signal is infinite.
    """

    depth: int
    scores: dict[str, float]
    entropy: float
    words: list[WordEntry] | UnsetType = UNSET
    least_settled: int | None | UnsetType = UNSET
    signals: dict[str, float | None] | UnsetType = UNSET


class EntityEntry(Struct):
    """A span of a text that a token classifier finds; the characters from ``start`` to ``end``."""

    label: str
    score: float
    start: int
    end: int
    word: str


class ItemError(Struct):
    """Why a text has no prediction."""

    message: str
    error_type: str


class ClassifyItem(Struct, kw_only=True):
    """The result of one text; without a prediction its fields are null and ``error`` has the reason.

    ``probs`` are the scores in the order of the model's labels; ``scores`` are those of the ``top_k`` highest labels,
    by label. From a token classifier, ``entities`` has the spans, and ``label`` and ``score`` are those of the least
    certain word. Of a text that was read in windows, ``windows`` is their number, and ``windows_read`` that of the
    windows after which the answer was settled.
    """

    index: Annotated[int, Meta(ge=0)]
    label: str | None = None
    probs: list[float] | None = None
    num_classes: Annotated[int, Meta(ge=1)]
    score: float | None = None
    scores: dict[str, float] | None = None
    depth: Annotated[int, Meta(ge=1)] | None = None
    depths: Annotated[int, Meta(ge=1)] | None = None
    reason: str | None = None
    truncated: bool
    tokens: Annotated[int, Meta(ge=0)]
    operating_point: str
    error: ItemError | None = None
    trace: list[TraceEntry] | UnsetType = UNSET
    entities: list[EntityEntry] | UnsetType = UNSET
    windows: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    windows_read: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class Usage(Struct, kw_only=True):
    """Tokens of all texts; ``layer_tokens`` are tokens times the layers that were applied to them."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: None = None
    tokens: int
    layer_tokens: int


class ClassifyResponse(Struct, kw_only=True):
    """The results of all texts, in order."""

    id: str
    object: Literal["list"] = "list"
    created: Annotated[int, Meta(description="Unix time in seconds")]
    model: str
    data: list[ClassifyItem]
    usage: Usage


class Model(Struct, kw_only=True):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "elbert"


class ModelList(Struct, kw_only=True):
    """The models that are served."""

    object: Literal["list"] = "list"
    data: list[Model]


_DECODER = msgspec.json.Decoder(ClassifyRequest)


def parse_request(body: bytes | bytearray, max_texts: int, models: Sequence[str] = ()) -> ParsedRequest:
    """Parse a body; ``models`` are the names that its ``model`` may have, any if there are none.

    Raises:
        ApiError: it has another shape, more than ``max_texts`` texts, or the name of another model.
    """
    request = decode_json(body, _DECODER, FORM, max_texts)
    if request.model is not None and models and request.model not in models:
        raise ApiError("NotFound", f"no model {request.model!a:.80} here; expected {models[0]!a} (GET /v1/models)")
    sent = [texts for texts in (request.input, request.inputs) if not isinstance(texts, UnsetType)]
    if len(sent) != 1:
        problem = "both input and inputs" if sent else "no input in the body"
        raise ApiError("Validation", f"{problem}; a request is {FORM}")
    [texts] = sent
    entries = [texts] if isinstance(texts, str) else texts
    check_count(len(entries), max_texts)
    tokens = request.truncate_prompt_tokens
    return ParsedRequest(
        [to_text(entry) for entry in entries],
        truncate=None if tokens is None else True,
        max_tokens=None if tokens == -1 else tokens,
        policy=request.policy,
        deadline_ms=request.deadline_ms,
        trace=bool(request.trace),
        top_k=to_whole_number(request.top_k),
        long=request.long,
    )


def to_item(item: TextResult, request: ParsedRequest, num_classes: int) -> ClassifyItem:
    """Return the result of one text."""
    prediction = item.prediction
    if prediction is None:
        error = None if item.error is None else ItemError(one_line(str(item.error)), error_kind(item.error))
        return ClassifyItem(
            index=item.index,
            num_classes=num_classes,
            truncated=item.truncated,
            tokens=item.tokens,
            operating_point=item.point,
            error=error,
        )
    best = sorted(prediction.scores.items(), key=lambda score: score[1], reverse=True)
    trace: list[TraceEntry] | UnsetType = UNSET
    if request.trace:
        trace = [to_trace_entry(step) for step in prediction.trace or ()]
    entities: list[EntityEntry] | UnsetType = UNSET
    if isinstance(prediction, TokenPrediction):
        entities = [EntityEntry(e.label, e.score, e.start, e.end, e.word) for e in prediction.entities]
    return ClassifyItem(
        index=item.index,
        label=prediction.label,
        probs=list(prediction.scores.values()),
        num_classes=num_classes,
        score=prediction.score,
        scores=dict(best[: request.top_k]),
        depth=prediction.depth,
        depths=prediction.depths,
        reason=prediction.reason,
        truncated=item.truncated,
        tokens=item.tokens,
        operating_point=item.point,
        trace=trace,
        entities=entities,
        windows=UNSET if prediction.windows is None else prediction.windows,
        windows_read=UNSET if prediction.windows is None else prediction.windows_read,
    )


def to_trace_entry(step: TraceStep) -> TraceEntry:
    """Return one depth of a trace."""
    entry = TraceEntry(step.depth, dict(step.scores), step.entropy)
    if isinstance(step, TokenTraceStep):
        entry.words = [WordEntry(word.word, word.tag, word.score) for word in step.words]
        entry.least_settled, entry.signals = step.least_settled, dict(step.signals)
    return entry


def to_response(
    items: Sequence[TextResult], request: ParsedRequest, num_classes: int, *, model: str, request_id: str
) -> ClassifyResponse:
    """Return the whole answer."""
    tokens = sum(item.tokens for item in items)
    layer_tokens = sum(item.layer_tokens for item in items)
    return ClassifyResponse(
        id=f"classify-{request_id}",
        created=int(time.time()),
        model=model,
        data=[to_item(item, request, num_classes) for item in items],
        usage=Usage(prompt_tokens=tokens, total_tokens=tokens, tokens=tokens, layer_tokens=layer_tokens),
    )
