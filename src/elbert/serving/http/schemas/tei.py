"""The shape of text-embeddings-inference's ``/predict``: one text, one pair, or a batch of them."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, tanh
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from elbert.model import ModelConfig
from elbert.serving.http.body import MAX_TEXTS, ParsedRequest, check_count, check_not_empty, decode_json
from elbert.serving.http.errors import ApiError
from elbert.serving.results import TextResult
from elbert.tasks import TASKS
from elbert.tokenization.tokens import Direction, Text

FORM = '{"inputs": "a text", ["a text", "its pair"], or a batch [["a text"], ["a text", "its pair"]]}'
TextOrPair = Annotated[list[str], Meta(min_length=1, max_length=2, description="a text, or a pair of texts")]
Inputs = (
    str
    | Annotated[
        list[str | TextOrPair],
        Meta(
            min_length=1,
            description="an array of one or two texts is one text or one pair; an array of arrays is a batch",
            extra_json_schema={"maxItems": MAX_TEXTS},
        ),
    ]
)

DirectionName = Annotated[
    str | None,
    Meta(
        description="the end that a long text loses; default: the model's truncation_side",
        extra_json_schema={"enum": ["left", "right", "Left", "Right", None]},
    ),
]


class PredictRequest(Struct):
    """A request in the shape of text-embeddings-inference; unknown fields are ignored, as it does."""

    inputs: Inputs
    truncate: Annotated[bool | None, Meta(description="cut texts that are too long; default: --auto-truncate")] = None
    truncation_direction: DirectionName = None
    raw_scores: Annotated[bool, Meta(description="logits instead of probabilities")] = False


class RankedLabel(Struct):
    """A label and its score."""

    score: float
    label: str


_DECODER = msgspec.json.Decoder(PredictRequest)


def parse_request(body: bytes | bytearray, max_texts: int) -> ParsedRequest:
    """Parse a body of at most ``max_texts`` texts.

    Raises:
        ApiError: it has another shape or too many texts, or a text is empty.
    """
    request = decode_json(body, _DECODER, FORM, max_texts)
    texts, nested = _texts_of(request.inputs, max_texts)
    check_not_empty(texts)
    return ParsedRequest(
        texts,
        nested,
        truncate=request.truncate,
        direction=to_direction(request.truncation_direction),
        activation="none" if request.raw_scores else None,
    )


def to_text_or_pair(entry: list[str]) -> Text:
    """``["a"]`` is a text and ``["a", "b"]`` a pair."""
    return entry[0] if len(entry) == 1 else (entry[0], entry[1])


def _texts_of(inputs: str | list[str | list[str]], max_texts: int) -> tuple[list[Text], bool]:
    """Return the texts and pairs, and whether they are a batch: an array of two texts is one pair."""
    if isinstance(inputs, str):
        return [inputs], False
    texts = [entry for entry in inputs if isinstance(entry, str)]
    if not texts:
        check_count(len(inputs), max_texts)
        return [to_text_or_pair(entry) for entry in inputs if not isinstance(entry, str)], True
    if len(texts) < len(inputs) or len(texts) > 2:
        kinds = "texts and arrays" if len(texts) < len(inputs) else f"{len(texts)} texts"
        raise ApiError("Validation", f"inputs: got an array of {kinds}; a request is {FORM}")
    return [to_text_or_pair(texts)], False


def to_direction(name: str | None) -> Direction | None:
    """Return the end that a text which is too long loses, None for the folder's; either case is accepted."""
    if name is None:
        return None
    if name.lower() == "right":
        return "right"
    if name.lower() == "left":
        return "left"
    raise ApiError("Validation", f"truncation_direction: expected left or right, got {name!a:.40}")


class Activations:
    """The functions from logits to scores where a request names none.

    ``native`` is the function behind a prediction's own scores. ``declared`` is ``problem_type`` of ``config.json``.
    """

    def __init__(self, config: ModelConfig, declared: str | None) -> None:
        one_by_one = config.multi_label or len(config.labels) == 1
        self.native: str = config.task.activation
        self.tei = "sigmoid" if one_by_one else "softmax"
        self.hugging_face = "none" if declared in TASKS and config.task.activation == "none" else self.tei

    def needs_logits(self, activation: str) -> bool:
        """Whether a prediction's own scores are of another function."""
        return activation != self.native

    def scores(self, item: TextResult, activation: str) -> Mapping[str, float]:
        """Return an item's scores by label."""
        if item.prediction is not None and not self.needs_logits(activation):
            return item.prediction.scores
        return apply_activation(activation, item.logits or {})


def apply_activation(activation: str, logits: Mapping[str, float]) -> Mapping[str, float]:
    """Return ``softmax``, ``sigmoid`` or ``none`` of logits by label, in double precision."""
    if activation == "none":
        return logits
    if activation == "sigmoid":
        return {label: 0.5 * (1 + tanh(logit / 2)) for label, logit in logits.items()}
    highest = max(logits.values(), default=0.0)
    powers = {label: exp(logit - highest) for label, logit in logits.items()}
    total = sum(powers.values())
    return {label: power / total for label, power in powers.items()}


def rank_labels(scores: Mapping[str, float], top_k: int | None = None) -> list[RankedLabel]:
    """Return the labels with the ``top_k`` highest scores, the highest first."""
    best = sorted(scores.items(), key=lambda score: score[1], reverse=True)
    return [RankedLabel(score, label) for label, score in best[:top_k]]
