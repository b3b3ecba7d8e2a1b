"""What a request to classify may hold; everything else is refused in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from elbert.errors import InputError
from elbert.texts import Text, checked

MOST_INPUTS = 32
LONGEST = 100_000  # characters
FORM = '{"inputs": [a text or {"text", "text_pair"}, …], "policy": a spec, "trace": true or false}'
KNOWN = {"inputs", "policy", "trace"}


@dataclass(frozen=True)
class Wanted:
    """Texts to classify, by which policy, and whether every depth is wanted."""

    texts: list[Text]
    policy: str | None
    trace: bool


def wanted(body: bytes) -> Wanted:
    """Read a request's body.

    Raises:
        InputError: it is not as expected; the message says how.
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(f"the request is not JSON ({error}); expected {FORM}") from None
    if not isinstance(given, dict) or not isinstance(given.get("inputs"), list):
        raise InputError(f"no list of inputs in the request; expected {FORM}")
    unknown = [name for name in given if name not in KNOWN]
    if unknown:
        raise InputError(f"{unknown[0]!r:.80} is nothing that a request holds; expected {FORM}")
    inputs, policy, trace = given["inputs"], given.get("policy"), given.get("trace", False)
    if not 1 <= len(inputs) <= MOST_INPUTS:
        raise InputError(f"{len(inputs)} inputs; expected 1 to {MOST_INPUTS}")
    if not isinstance(policy, str | None) or not isinstance(trace, bool):
        raise InputError(f"policy must be a spec and trace true or false; expected {FORM}")
    return Wanted([text_of(item, number) for number, item in enumerate(inputs)], policy, trace)


def text_of(item: Any, number: int) -> Text:
    """One input: a text, or a pair.

    Raises:
        InputError: it is something else, or too long.
    """
    pair = isinstance(item, dict) and item.keys() == {"text", "text_pair"}
    if isinstance(item, list):  # JSON has no tuples, and a list of two could be meant as two texts
        raise InputError(f'input {number} is a list; a pair is {{"text": …, "text_pair": …}}')
    text = checked((item["text"], item["text_pair"]) if pair else item, number)
    longest = max(len(part) for part in ((text,) if isinstance(text, str) else text))
    if longest > LONGEST:
        raise InputError(f"input {number} has {longest:,} characters; at most {LONGEST:,} are taken")
    return text
