"""The shape of text-embeddings-inference's ``/predict``: one text, one pair, or a batch of them."""

from __future__ import annotations

from typing import Any

from elbert.serving.http.errors import Refusal
from elbert.serving.http.given import Wanted, counted, flag, kind_of, object_of, refused
from elbert.texts import Text
from elbert.tokenization.tokenizer import Direction

FORM = '{"inputs": "a text", ["a text", "its pair"], or a batch [["a text"], ["a text", "its pair"]]}'


def wanted(given: Any, most: int) -> Wanted:
    """Read a body; fields that TEI does not know are ignored, as TEI does.

    Raises:
        Refusal: it has another shape, a text is empty, or it has more than ``most`` texts.
    """
    body = object_of(given, FORM)
    texts, nested = texts_of(body["inputs"])
    counted(len(texts), most)
    refuse_empty(texts)
    raw = flag(body, "raw_scores", null=False)
    return Wanted(
        texts,
        nested,
        truncate=flag(body, "truncate"),
        direction=direction_of(body),
        function="none" if raw else None,
    )


def texts_of(inputs: Any) -> tuple[list[Text], bool]:
    """The texts and pairs, and whether they are a batch: an array of two texts is one pair.

    Raises:
        Refusal: it is none of the shapes.
    """
    if isinstance(inputs, str):
        return [inputs], False
    if not isinstance(inputs, list):
        raise refused(f"inputs is {kind_of(inputs)}; expected {FORM}")
    if inputs and isinstance(inputs[0], str):
        return [one_of(inputs)], False
    if not inputs:
        raise refused(f"inputs is empty; expected {FORM}")
    return [one_of(entry) for entry in inputs], True


def one_of(entry: Any) -> Text:
    """``["a"]`` is a text and ``["a", "b"]`` a pair.

    Raises:
        Refusal: it is neither.
    """
    if isinstance(entry, list) and 1 <= len(entry) <= 2 and all(isinstance(part, str) for part in entry):
        return entry[0] if len(entry) == 1 else (entry[0], entry[1])
    told = f"{kind_of(entry)} of {len(entry)}" if isinstance(entry, list) else kind_of(entry)
    raise refused(f"{told} where a text or a pair was expected; expected {FORM}")


def refuse_empty(texts: list[Text]) -> None:
    """A text of no characters is no text; a pair is one if either of its texts is.

    Raises:
        Refusal: there is such.
    """
    for text in texts:
        if text in ("", ("", "")):
            raise Refusal("Empty", "`inputs` cannot be empty")


def direction_of(body: dict[str, Any]) -> Direction:
    """Which end of a text that is too long is cut off.

    Raises:
        Refusal: it is neither of the two.
    """
    value = body.get("truncation_direction", "right")
    if isinstance(value, str) and value.lower() == "right":
        return "right"
    if isinstance(value, str) and value.lower() == "left":
        return "left"
    raise refused("truncation_direction must be left or right")
