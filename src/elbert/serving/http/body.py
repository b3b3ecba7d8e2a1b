"""Request bodies: bounded in size, depth and time, then decoded into Structs, or rejected in one clear line.

:class:`ParsedRequest` is what every shape of request is parsed into.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct
from starlette.requests import Request

from elbert.serving.http.errors import ApiError
from elbert.serving.http.middleware import ClientDisconnected, exchange_of
from elbert.tokenization.tokenizer import Direction, Text

MAX_UNREAD_BODIES = 64  # bodies of the largest size that may be in memory before they are complete
MAX_DEPTH = 1024  # nested arrays and objects

Shape = TypeVar("Shape")


class BodyReader:
    """Reads JSON bodies of at most ``limit`` bytes, each within ``seconds``."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._unread_bytes = 0

    async def read(self, request: Request) -> bytearray:
        """Read the body of a request.

        Raises:
            ApiError: it is not declared as JSON, too large, or too slow.
            ClientDisconnected: the client disconnected.
        """
        exchange = exchange_of(request.scope)
        declared = exchange.header(b"content-type").partition(";")[0].strip().lower()
        # A page of another origin can make a browser post a form here, but not JSON.
        if declared != "application/json" and not (declared.startswith("application/") and declared.endswith("+json")):
            message = f"content-type is {declared or 'missing'!r:.80}, expected application/json"
            raise ApiError("UnsupportedMediaType", message)
        length = exchange.header(b"content-length")
        if length.isascii() and length.isdigit() and int(length[:20]) > self._limit:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                while await self._read_part(request, body):
                    pass
        except TimeoutError:
            message = f"the body did not arrive within {self._seconds:g} s"
            raise ApiError("Timeout", message, {"connection": "close"}) from None
        finally:
            self._unread_bytes -= len(body)
        return body

    async def _read_part(self, request: Request, body: bytearray) -> bool:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        part = message.get("body", b"")
        body += part
        self._unread_bytes += len(part)
        if len(body) > self._limit:
            raise self._too_large()
        if self._unread_bytes > MAX_UNREAD_BODIES * self._limit:
            raise ApiError("Overloaded", "too many bodies arrive at once; try again", {"retry-after": "1"})
        return bool(message.get("more_body"))

    def _too_large(self) -> ApiError:
        return ApiError("PayloadTooLarge", f"the body is larger than {self._limit:,} bytes (--payload-limit)")


def decode_json(body: bytes | bytearray, decoder: msgspec.json.Decoder[Shape], form: str) -> Shape:
    """Decode and validate a body; ``form`` shows in the error message what a request looks like.

    Raises:
        ApiError: ``Malformed`` for a body that is not JSON, ``Validation`` for JSON of another shape.
    """
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise ApiError("Malformed", f"the body has more than {MAX_DEPTH:,} nested arrays and objects")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        # The decoder stops at the first value of a wrong type; what follows may not even be JSON.
        _check_syntax(body)
        raise ApiError("Validation", _describe(str(error), form)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(error) from None
    except RecursionError:
        raise ApiError("Malformed", "the body has too many nested arrays and objects") from None


def _malformed(error: Exception) -> ApiError:
    return ApiError("Malformed", f"the body is not JSON ({error}); expected JSON in UTF-8")


def _check_syntax(body: bytes | bytearray) -> None:
    try:
        msgspec.json.decode(body)
    except RecursionError:  # within MAX_DEPTH, and its shape is known to be wrong
        pass
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(error) from None


_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_STEP = np.zeros(256, np.int8)
_STEP[[*b"[{"]] = 1
_STEP[[*b"]}"]] = -1


def _depth(body: bytes | bytearray) -> int:
    steps = _STEP[np.frombuffer(_STRING.sub(b"", body), np.uint8)]
    return int(steps.cumsum(dtype=np.int32).max(initial=0))


_WHERE = re.compile(r"(?P<problem>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_JSON_NAMES = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_MAX_QUOTED = 80  # characters of a client's own field name or value


def _describe(message: str, form: str) -> str:
    """Put msgspec's message into the terms of JSON, with the place and the form that is expected."""
    found = _WHERE.fullmatch(message)
    problem, path = (message, None) if found is None else (found["problem"], found["path"])
    if field := _FIELD.fullmatch(problem):
        kind = "unknown field" if field["what"] == "contains unknown" else "missing field"
        problem = f"{kind} {field['name']!a:.{_MAX_QUOTED}}"
    elif problem.startswith("Invalid enum value"):
        problem = f"{problem[:_MAX_QUOTED]} is none of the accepted values"
    else:
        problem = re.sub(r"`([^`]*)`", lambda types: " or ".join(map(_json_name, types[1].split(" | "))), problem)
        problem = problem[:1].lower() + problem[1:]
    return f"{(path or 'the body')[:_MAX_QUOTED]}: {problem}; a request is {form}"


def _json_name(name: str) -> str:
    return _JSON_NAMES.get(name, name)


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
