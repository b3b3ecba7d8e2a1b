"""Predictions of token rows: entity spans as transformers' pipeline groups them, and the tag of each word."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from elbert.exits.signals import SIGNALS
from elbert.exits.token_trace import read_signals
from elbert.exits.trace import read_entropy
from elbert.inference.step import Exits
from elbert.model import ModelConfig
from elbert.prediction import Entity, TokenPrediction, TokenTraceStep, Word
from elbert.tokenization import Tokens

Sources = Mapping[int, tuple[str, Tokens]]
"""The text and the tokens of each row, by identity."""


class PieceJoiner(Protocol):
    """Writes pieces as text."""

    def join_pieces(self, ids: Sequence[int], parts: Sequence[str]) -> str:
        """Return the text of consecutive pieces; ``parts`` are their characters in the text."""


@dataclass(frozen=True)
class TaggedPiece:
    """A piece, or a word, with its tag."""

    tag: str
    score: float
    start: int
    end: int
    ids: tuple[int, ...]
    is_first: bool


def build_token_predictions(
    exits: Exits, config: ModelConfig, sources: Sources, joiner: PieceJoiner, truncated: Container[int] = ()
) -> Iterator[tuple[int, TokenPrediction]]:
    """Yield ``(identity, prediction)`` of every row.

    Entities are those of transformers' ``pipeline("ner", aggregation_strategy=…)``, with the model's strategy:
    ``simple`` reads the tag of every piece, ``first`` that of the first piece of a word.
    """
    counts = np.zeros(len(exits), np.int64) if exits.counts is None else exits.counts
    ends = np.cumsum(counts).tolist()
    best, scores = exits.probabilities.argmax(-1), exits.probabilities.max(-1)
    for row, (identity, depth) in enumerate(zip(exits.identity.tolist(), exits.depth.tolist(), strict=True)):
        text, tokens = sources.get(identity, ("", None))
        part = slice(ends[row] - int(counts[row]), ends[row])
        pieces = [] if tokens is None else tag_pieces(tokens, best[part], scores[part], config)
        words = join_words(pieces)
        kept = None if exits.trace is None or tokens is None else exits.trace[part, :depth]
        entities = group_words(words, text) if config.aggregation == "first" else group_pieces(pieces, text, joiner)
        least = min(words, key=lambda word: word.score, default=None)
        yield (
            identity,
            TokenPrediction(
                label="O" if least is None else least.tag,
                score=1.0 if least is None else least.score,
                depth=depth,
                depths=config.depths,
                reason=exits.reason[row],
                truncated=identity in truncated,
                entities=tuple(entities),
                words=to_words(words, text),
                trace=None if kept is None or tokens is None else tuple(trace_depths(kept, text, tokens, config)),
            ),
        )


def to_words(words: Sequence[TaggedPiece], text: str) -> tuple[Word, ...]:
    """Return the words of a text with their tags."""
    return tuple(
        Word(text[word.start : word.end].strip(), word.tag, word.score, word.start, word.end) for word in words
    )


def trace_depths(
    probabilities: NDArray[Any], text: str, tokens: Tokens, config: ModelConfig
) -> Iterator[TokenTraceStep]:
    """Yield the tags of the words at each depth, from ``probabilities [pieces, depths so far, classes]``."""
    is_first = tokens.pieces.is_first
    entropies = read_entropy(probabilities[is_first], False)
    fitting = [name for name, signal in SIGNALS.items() if signal.needs == "probabilities"]
    signals = read_signals(probabilities, np.array([len(probabilities)]), is_first, fitting)
    for depth in range(probabilities.shape[1]):
        here = probabilities[:, depth]
        pieces = tag_pieces(tokens, here.argmax(-1), here.max(-1), config)
        here_entropies = entropies[:, depth]
        yield TokenTraceStep(
            depth + 1,
            {},
            float(here_entropies.max(initial=0.0)),
            to_words(join_words(pieces), text),
            int(here_entropies.argmax()) if len(here_entropies) else None,
            {name: float(values[0, depth]) for name, values in signals.items()},
        )


def tag_pieces(tokens: Tokens, best: NDArray[Any], scores: NDArray[Any], config: ModelConfig) -> list[TaggedPiece]:
    """Return the pieces of a row with their most probable tags."""
    pieces, ids = tokens.pieces, tokens.ids
    columns = (pieces.positions, pieces.starts, pieces.ends, pieces.is_first, best, scores)
    return [
        TaggedPiece(config.labels[tag], score, start, end, (ids[position],), is_first)
        for position, start, end, is_first, tag, score in zip(*(c.tolist() for c in columns), strict=True)
    ]


def join_words(pieces: Sequence[TaggedPiece]) -> list[TaggedPiece]:
    """Join the pieces of each word; its tag is that of the first."""
    words = list[TaggedPiece]()
    for piece in pieces:
        if piece.is_first or not words:
            words.append(piece)
        else:
            word = words[-1]
            words[-1] = TaggedPiece(word.tag, word.score, word.start, piece.end, (*word.ids, *piece.ids), True)
    return words


def split_tag(tag: str) -> tuple[bool, str]:
    """Return whether a tag begins an entity, and its type, as transformers reads them."""
    return tag.startswith("B-"), tag[2:] if tag.startswith(("B-", "I-")) else tag


def group_parts(parts: Sequence[TaggedPiece]) -> Iterator[list[TaggedPiece]]:
    """Yield groups of adjacent parts of one type; ``B-`` begins another."""
    group = list[TaggedPiece]()
    for part in parts:
        begins, kind = split_tag(part.tag)
        if group and (begins or kind != split_tag(group[-1].tag)[1]):
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def make_entity(group: Sequence[TaggedPiece], word: str) -> Entity:
    """Return the entity of a group; its score is the mean."""
    score = float(np.mean(np.array([part.score for part in group], np.float32)))
    return Entity(group[0].tag.split("-", 1)[-1], score, group[0].start, group[-1].end, word)


def group_pieces(pieces: Sequence[TaggedPiece], text: str, joiner: PieceJoiner) -> Iterator[Entity]:
    """Yield the entities of the strategy ``simple``; the word is written by the tokenizer."""
    for group in group_parts(pieces):
        if group[0].tag.split("-", 1)[-1] != "O":
            ids = [number for piece in group for number in piece.ids]
            word = joiner.join_pieces(ids, [text[piece.start : piece.end] for piece in group])
            yield make_entity(group, word)


def group_words(words: Sequence[TaggedPiece], text: str) -> Iterator[Entity]:
    """Yield the entities of the strategy ``first``; the word is that of the text."""
    for group in group_parts(words):
        if group[0].tag.split("-", 1)[-1] != "O":
            yield make_entity(group, text[group[0].start : group[-1].end].strip())
