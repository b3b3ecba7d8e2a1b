"""What a body holds, checked by hand: the same few shapes over and over, and no time for a library of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from elbert.serving.http.errors import Refusal
from elbert.texts import Text
from elbert.tokenization.tokenizer import Direction

PER_TOKEN = 250  # characters of a text that are looked at for each token that the model reads, as TEI does
LONGEST_POLICY = 500  # characters, as in a spec


@dataclass(frozen=True)
class Wanted:
    """What a request asks for, whatever shape it came in. ``truncate`` None is the server's own."""

    texts: Sequence[Text]
    nested: bool = True
    truncate: bool | None = None
    direction: Direction = "right"
    policy: str | None = None
    deadline_ms: float | None = None
    trace: bool = False
    function: str | None = None
    top_k: int | None = None


def refused(message: str) -> Refusal:
    """A body that is JSON, and has not the shape that it should."""
    return Refusal("Validation", message)


def object_of(given: Any, form: str) -> dict[str, Any]:
    """A JSON object with ``inputs``.

    Raises:
        Refusal: it is none.
    """
    if not isinstance(given, dict):
        raise refused(f"the body is {kind_of(given)}; expected {form}")
    if "inputs" not in given:
        raise refused(f"no inputs in the body; expected {form}")
    return given


def flag(given: dict[str, Any], name: str, *, null: bool = True) -> bool | None:
    """True or false, or None where it is not there or, if it may be, null.

    Raises:
        Refusal: it is something else.
    """
    value = given.get(name)
    if not isinstance(value, bool) and not (value is None and (null or name not in given)):
        raise refused(f"{name} is {kind_of(value)}, expected true or false")
    return value


def top_k_of(given: dict[str, Any]) -> int | None:
    """How many labels are wanted, or None for all.

    Raises:
        Refusal: it is no whole number from 1.
    """
    value = given.get("top_k")
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():  # JSON has one kind of number, and 2.0 is 2
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise refused("top_k must be a whole number from 1")
    return value


def policy_of(given: dict[str, Any]) -> str | None:
    """A spec or an operating point's name.

    Raises:
        Refusal: it is no text, or none that a policy's could be.
    """
    value = given.get("policy")
    if value is not None and (not isinstance(value, str) or len(value) > LONGEST_POLICY):
        raise refused(f"policy must be a spec or an operating point's name, of at most {LONGEST_POLICY} characters")
    return value


def deadline_of(given: dict[str, Any]) -> float | None:
    """Milliseconds from now.

    Raises:
        Refusal: it is no number above 0.
    """
    value = given.get("deadline_ms")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise refused("deadline_ms must be a number of milliseconds above 0")
    return float(value)


def counted(texts: int, most: int) -> None:
    """Hold a request to how many texts it may bring.

    Raises:
        Refusal: they are more, or none.
    """
    if not 1 <= texts <= most:
        raise refused(f"{texts} texts in a request, expected 1 to {most} (--max-client-batch-size)")


def text_or_pair(given: Any, number: int) -> Text:
    """``"a"`` or ``{"text": "a", "text_pair": "b"}``; a pair without its second text is one text.

    Raises:
        Refusal: it is something else.
    """
    if isinstance(given, str):
        return given
    if isinstance(given, dict) and isinstance(text := given.get("text"), str) and given.keys() <= {"text", "text_pair"}:
        pair = given.get("text_pair")
        if pair is None:
            return text
        if isinstance(pair, str):
            return text, pair
    raise refused(f'input {number} is {kind_of(given)}, expected a text or {{"text": …, "text_pair": …}}')


def kind_of(value: Any) -> str:
    """What a JSON value is, in JSON's words; never the value itself, which may be anything."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array"}
    return names.get(type(value), "an object")
