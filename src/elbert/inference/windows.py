"""Windows: a text that is longer than the model, for token classification, in parts that are tagged one by one."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from elbert.prediction import Prediction, TokenPrediction
from elbert.tokenization import Tokeniser, Tokens

SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+")
SPARE = 8  # tokens that a tokenizer may add to those of single characters


class TextWindows:
    """Yields the windows of texts, and joins the predictions of the windows.

    A window ends after the last sentence that ends in its second half, else before the first word that does not fit;
    only a word that is itself too long is cut inside. Windows do not overlap, so a word at the start of one is tagged
    without the words before it. What is no text is one window.
    """

    def __init__(self, texts: Iterable[object], tokeniser: Tokeniser) -> None:
        self._texts = texts
        self._tokeniser = tokeniser
        self._windows = deque[tuple[int, bool]]()  # (first character, whether it is the text's last), in order
        self._parts = list[Prediction | Exception]()
        self._starts = list[int]()

    def __iter__(self) -> Iterator[object]:
        """Yield the windows of all texts."""
        for text in self._texts:
            windows = split_text(text, self._tokeniser) if isinstance(text, str) else [(0, text)]
            for number, (start, window) in enumerate(windows, 1):
                self._windows.append((start, number == len(windows)))
                yield window

    def join(self, results: Iterable[Prediction | Exception]) -> Iterator[Prediction | Exception]:
        """Yield the results of whole texts, from those of windows in order; windows of a text may still be missing."""
        for result in results:
            start, is_last = self._windows.popleft()
            self._parts.append(result)
            self._starts.append(start)
            if is_last:
                yield join_parts(self._parts, self._starts)
                self._parts, self._starts = [], []


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


def join_parts(parts: list[Prediction | Exception], starts: list[int]) -> Prediction | Exception:
    """Return the prediction of a text from those of its windows: depth and reason are those of the deepest."""
    if len(parts) == 1:
        return parts[0]
    predictions = list[TokenPrediction]()
    for part in parts:
        if not isinstance(part, TokenPrediction):
            return part
        predictions.append(part)
    deepest = max(predictions, key=lambda prediction: prediction.depth)
    least = min(predictions, key=lambda prediction: prediction.score)
    pairs = list(zip(predictions, starts, strict=True))
    return replace(
        deepest,
        label=least.label,
        score=least.score,
        truncated=any(prediction.truncated for prediction in predictions),
        entities=tuple(entity.shift(start) for part, start in pairs for entity in part.entities),
        words=tuple(word.shift(start) for part, start in pairs for word in part.words),
    )
