"""What all request shapes share: texts, options, and the limits on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from elbert.serving.http.errors import ApiError
from elbert.texts import Text
from elbert.tokenization.tokenizer import Direction

CHARACTERS_PER_TOKEN = 250  # characters of a text that are read for each token that the model reads, as TEI does
MAX_POLICY = 500  # characters of a policy spec
MAX_TEXTS = "--max-client-batch-size"  # stands for a server's own number in schemas; openapi.py puts it in

PolicySpec = Annotated[str, Meta(max_length=MAX_POLICY, description="a policy spec or the name of an operating point")]
Milliseconds = Annotated[float, Meta(gt=0, description="from now; then each text exits with its best answer so far")]
# JSON has one kind of number: 2.0 is a whole number too.
TopK = Annotated[float, Meta(ge=1, multiple_of=1, description="number of labels in the answer; default: all")]


class TextPair(Struct, forbid_unknown_fields=True):
    """A text, or a pair of texts that the model reads together."""

    text: str
    text_pair: str | None = None


@dataclass(frozen=True)
class ParsedRequest:
    """The content of a request, independent of its shape.

    nested: whether TEI's answer is an array for each text
    truncate: cut texts that are too long; None is the server's ``--auto-truncate``
    direction: the end that such a text loses
    max_tokens: truncate to fewer tokens than the model reads
    activation: the function that turns logits into scores; None is the model's own
    """

    texts: Sequence[Text]
    nested: bool = True
    truncate: bool | None = None
    direction: Direction = "right"
    max_tokens: int | None = None
    policy: str | None = None
    deadline_ms: float | None = None
    trace: bool = False
    activation: str | None = None
    top_k: int | None = None


def to_text(entry: str | TextPair) -> Text:
    """Return a text or a pair; a pair without its second text is one text."""
    if isinstance(entry, str):
        return entry
    return entry.text if entry.text_pair is None else (entry.text, entry.text_pair)


def to_whole_number(value: float | None) -> int | None:
    """Return the number as an integer."""
    return None if value is None else int(value)


def check_count(texts: int, max_texts: int) -> None:
    """Check the number of texts in a request.

    Raises:
        ApiError: there are more than ``max_texts``, or none.
    """
    if not 1 <= texts <= max_texts:
        raise ApiError("Validation", f"{texts} texts in a request, expected 1 to {max_texts} ({MAX_TEXTS})")


def check_not_empty(texts: Sequence[Text]) -> None:
    """Check that every text has characters; a pair has some if either of its texts does.

    Raises:
        ApiError: ``Empty``, as TEI has it.
    """
    for text in texts:
        if text in ("", ("", "")):
            raise ApiError("Empty", "`inputs` cannot be empty")


def limit_characters(texts: Sequence[Text], max_length: int, direction: Direction, *, truncate: bool) -> Sequence[Text]:
    """Cut texts to ``CHARACTERS_PER_TOKEN`` for each of ``max_length`` tokens: hardly any token is longer.

    Raises:
        ApiError: a text is longer, and ``truncate`` is false.
    """
    most = CHARACTERS_PER_TOKEN * max_length
    too_long = [number for number, text in enumerate(texts) if count_characters(text) > most]
    if not too_long:
        return texts
    if not truncate:
        first = too_long[0]
        raise ApiError(
            "Validation", f"text {first} has {count_characters(texts[first]):,} characters, expected at most {most:,}"
        )
    return [_cut(text, most, direction) if number in too_long else text for number, text in enumerate(texts)]


def count_characters(text: Text) -> int:
    """Return the characters of a text, or of both texts of a pair."""
    return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])


def _cut(text: Text, most: int, direction: Direction) -> Text:
    part = slice(most) if direction == "right" else slice(-most, None)
    return text[part] if isinstance(text, str) else (text[0][part], text[1][part])
