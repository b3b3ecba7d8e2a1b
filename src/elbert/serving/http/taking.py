"""What is bounded of texts before the service takes them."""

from __future__ import annotations

from collections.abc import Sequence

from elbert.serving.http.given import PER_TOKEN, refused
from elbert.texts import Text
from elbert.tokenization.tokenizer import Direction


def cut(texts: Sequence[Text], max_length: int, direction: Direction, *, truncate: bool) -> Sequence[Text]:
    """Texts of at most ``PER_TOKEN`` characters for each of ``max_length`` tokens: more are hardly ever looked at.

    Raises:
        Refusal: one is longer, and may not be truncated.
    """
    most = PER_TOKEN * max_length
    long = [number for number, text in enumerate(texts) if characters(text) > most]
    if not long:
        return texts
    if not truncate:
        raise refused(f"text {long[0]} has {characters(texts[long[0]]):,} characters, more than {most:,}")
    return [_cut(text, most, direction) if number in long else text for number, text in enumerate(texts)]


def characters(text: Text) -> int:
    """How many a text or both of a pair have."""
    return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])


def _cut(text: Text, most: int, direction: Direction) -> Text:
    part = slice(most) if direction == "right" else slice(-most, None)
    return text[part] if isinstance(text, str) else (text[0][part], text[1][part])
