"""Windows over sentences: a text that is longer than the model, for token classification, in parts that are tagged one
by one.

A window ends after the last sentence that ends in its second half, else before the first word that does not fit; only a
word that is itself too long is cut inside. Windows do not overlap, so a word at the start of one is tagged without the
words before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from elbert.exits.signals import SIGNALS
from elbert.prediction import Prediction, TokenPrediction, TokenTraceStep, TraceStep, Word
from elbert.tokenization import Tokeniser, Tokens

SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+")
SPARE = 8  # tokens that a tokenizer may add to those of single characters


def split_text(text: str, tokeniser: Tokeniser) -> list[tuple[int, str]]:
    """Return the windows of a text, each with the index of its first character."""
    windows, start = list[tuple[int, str]](), 0
    while (end := find_end(text[start:] if start else text, tokeniser)) is not None:
        windows.append((start, text[start : start + end]))
        start += end
    return [*windows, (start, text[start:] if start else text)]


def find_end(text: str, tokeniser: Tokeniser) -> int | None:
    """Return where the first window of a text ends; None if it is all of the text."""
    if text.isascii() and len(text) <= tokeniser.max_length - SPARE:  # a token is a character or more
        return None
    (row,) = tokeniser.encode_each([text])
    if not isinstance(row, Tokens) or not row.truncated or not len(row.pieces):
        return None
    pieces, limit = row.pieces, int(row.pieces.ends[-1])
    ends = [match.end() for match in SENTENCE_END.finditer(text, limit // 2, limit)]
    words = pieces.starts[np.flatnonzero(pieces.is_first)]
    end = ends[-1] if ends else int(words[-1]) if len(words) else 0
    return end if end > 0 else max(limit, 1)


def join_parts(parts: Sequence[Prediction], starts: Sequence[int]) -> Prediction:
    """Return the prediction of a text from those of its windows: depth and reason are those of the deepest."""
    predictions = [part for part in parts if isinstance(part, TokenPrediction)]
    if len(parts) == 1 or len(predictions) < len(parts):
        return parts[0]
    deepest = max(predictions, key=lambda prediction: prediction.depth)
    least = min(predictions, key=lambda prediction: prediction.score)
    traces = [part.trace for part in predictions if part.trace is not None]
    pairs = list(zip(predictions, starts, strict=True))
    return replace(
        deepest,
        label=least.label,
        score=least.score,
        trace=tuple(join_steps(traces, starts, depth) for depth in range(1, deepest.depth + 1)) if traces else None,
        truncated=any(prediction.truncated for prediction in predictions),
        entities=tuple(entity.shift(start) for part, start in pairs for entity in part.entities),
        words=tuple(word.shift(start) for part, start in pairs for word in part.words),
    )


def join_steps(traces: Sequence[Sequence[TraceStep]], starts: Sequence[int], depth: int) -> TokenTraceStep:
    """Return the words of all windows at a depth; a window that exited before has those of its exit."""
    found = [trace[min(depth, len(trace)) - 1] for trace in traces]
    steps = [step for step in found if isinstance(step, TokenTraceStep)]
    words, least, most = list[Word](), None, -1.0
    for step, start in zip(steps, starts, strict=True):
        if step.least_settled is not None and step.entropy > most:
            least, most = len(words) + step.least_settled, step.entropy
        words.extend(word.shift(start) for word in step.words)
    signals = {
        name: (max if SIGNALS[name].worst == "max" else min)(step.signals[name] for step in steps)
        for name in steps[0].signals
    }
    return TokenTraceStep(depth, {}, max(step.entropy for step in steps), tuple(words), least, signals)
