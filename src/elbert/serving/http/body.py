"""Request bodies: bounded in size, depth and time, then decoded into Structs, or rejected in one clear line.

:class:`ParsedRequest` is what every shape of request is parsed into.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct
from starlette.requests import Request

from elbert._display import plural, suggest
from elbert.serving.http.errors import ApiError
from elbert.serving.http.middleware import ClientDisconnected, Exchange, exchange_of
from elbert.tokenization.tokens import Direction, Text

MAX_UNREAD_BODIES = 64  # bodies of the largest size that may be in memory before they are complete
SMALL_BODIES = 32  # small ones in one of the largest size; these are bounded by the number of connections only
MAX_DEPTH = 1024  # nested arrays and objects
MAX_VALUES = 4096  # values of a body besides its texts
VALUES_PER_TEXT = 16

Shape = TypeVar("Shape")


@dataclass(eq=False)
class Upload:
    """A body that arrives. ``counted`` are its bytes beyond those of a small one."""

    body: bytearray = field(default_factory=bytearray)
    counted: int = 0
    is_rejected: bool = False
    deadline: asyncio.Timeout | None = None


class BodyReader:
    """Reads JSON bodies of at most ``limit`` bytes, each within ``seconds``."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._small = limit // SMALL_BODIES
        self._uploads: dict[Upload, None] = {}  # in the order of their arrival
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
        _check_coding(exchange)
        length = exchange.header(b"content-length")
        if length.isascii() and length.isdigit() and int(length[:20]) > self._limit:
            raise self._too_large()
        upload = Upload()
        self._uploads[upload] = None
        try:
            async with asyncio.timeout(self._seconds) as upload.deadline:
                while await self._read_part(request, upload):
                    pass
        except TimeoutError:
            close = {"connection": "close"}
            if upload.is_rejected:
                message = "too many bodies arrive at once, and this one is slow; try again"
                raise ApiError("Overloaded", message, close | {"retry-after": "1"}) from None
            raise ApiError(
                "Timeout", f"the body did not arrive within {self._seconds:g} s; send it again", close
            ) from None
        finally:
            self._unread_bytes -= upload.counted
            del self._uploads[upload]
        return upload.body

    async def _read_part(self, request: Request, upload: Upload) -> bool:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        upload.body += message.get("body", b"")
        if len(upload.body) > self._limit:
            raise self._too_large()
        if not message.get("more_body"):
            return False
        if not upload.is_rejected:
            counted = max(0, len(upload.body) - self._small)
            self._unread_bytes += counted - upload.counted
            upload.counted = counted
            if self._unread_bytes > MAX_UNREAD_BODIES * self._limit:
                self._reject_oldest()
        return True

    def _reject_oldest(self) -> None:
        """Make space: of the bodies that are not small, the one that began first is the slowest."""
        oldest = next(upload for upload in self._uploads if upload.counted)
        self._unread_bytes -= oldest.counted
        oldest.counted = 0
        oldest.is_rejected = True
        if oldest.deadline is not None:
            oldest.deadline.reschedule(asyncio.get_running_loop().time())

    def _too_large(self) -> ApiError:
        message = f"the body is larger than {self._limit:,} bytes (--payload-limit); send fewer or shorter texts"
        return ApiError("PayloadTooLarge", message)


def _check_coding(exchange: Exchange) -> None:
    """Check that a body is sent as it is.

    Raises:
        ApiError: it is compressed.
    """
    for name, plain in ((b"content-encoding", "identity"), (b"transfer-encoding", "chunked")):
        coding = exchange.header(name).strip().lower()
        if coding not in ("", plain):
            message = f"{name.decode()} is {coding!a:.40}; send the body without compression"
            raise ApiError("UnsupportedMediaType", message, {"accept-encoding": "identity"})


def decode_json(body: bytes | bytearray, decoder: msgspec.json.Decoder[Shape], form: str, max_texts: int) -> Shape:
    """Decode and validate a body; ``form`` shows in the error message what a request looks like.

    Values are counted before they are built: a body can hold half a million of them.

    Raises:
        ApiError: ``Malformed`` for a body that is not JSON, ``Validation`` for JSON of another shape.
    """
    max_values = MAX_VALUES + VALUES_PER_TEXT * max_texts
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH or body.count(b",") > max_values:
        _check_structure(body, max_values, max_texts)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        # The decoder stops at the first value of a wrong type; what follows may not even be JSON.
        _check_syntax(body)
        raise ApiError("Validation", _describe(str(error), form, decoder.type)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(error) from None
    except RecursionError:
        raise ApiError("Malformed", f"the body is nested too deeply, expected at most {MAX_DEPTH:,} levels") from None


def _malformed(error: Exception) -> ApiError:
    return ApiError("Malformed", f"the body is not JSON ({error}); expected JSON in UTF-8")


def _check_syntax(body: bytes | bytearray) -> None:
    try:
        msgspec.json.decode(body)
    except RecursionError:  # within MAX_DEPTH, and its shape is known to be wrong
        pass
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(error) from None


_STRING = re.compile(rb'"[^"]*"?')
_STEP = np.zeros(256, np.int8)
_STEP[[*b"[{"]] = 1
_STEP[[*b"]}"]] = -1


def _check_structure(body: bytes | bytearray, max_values: int, max_texts: int) -> None:
    """Check depth and number of values of a body; what has too many is not read to its end."""
    outside = bytearray()  # of strings
    at = commas = 0
    body = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # a quote that remains begins or ends a string
    for number, string in enumerate(chain(_STRING.finditer(body), [None])):
        part = body[at:] if string is None else body[at : string.start()]
        commas += part.count(b",")
        if commas > max_values or number > 2 * (max_values + MAX_DEPTH):
            expected = f"expected at most {plural(max_texts, 'text')} ({MAX_TEXTS})"
            raise ApiError("Validation", f"more than {max_values:,} values in a request, {expected}")
        outside += part
        at = len(body) if string is None else string.end()
    if _STEP[np.frombuffer(outside, np.uint8)].cumsum(dtype=np.int32).max(initial=0) > MAX_DEPTH:
        raise ApiError("Malformed", f"the body is nested too deeply, expected at most {MAX_DEPTH:,} levels")


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


def _describe(message: str, form: str, shape: Any) -> str:
    """Put msgspec's message into the terms of JSON, with the place and the form that is expected."""
    found = _WHERE.fullmatch(message)
    problem, path = (message, None) if found is None else (found["problem"], found["path"])
    if field := _FIELD.fullmatch(problem):
        is_unknown = field["what"] == "contains unknown"
        closest = suggest(field["name"], _field_names(shape), 1) if is_unknown else ""
        problem = f"{'unknown' if is_unknown else 'missing'} field {field['name']!a:.{_MAX_QUOTED}}{closest}"
    elif problem.startswith("Invalid enum value"):
        problem = f"{problem[:_MAX_QUOTED]} is none of the accepted values"
    else:
        problem = re.sub(r"`([^`]*)`", lambda types: " or ".join(map(_json_name, types[1].split(" | "))), problem)
        problem = problem[:1].lower() + problem[1:]
    return f"{(path or 'the body')[:_MAX_QUOTED]}: {problem}; a request is {form}"


@lru_cache
def _field_names(shape: Any) -> dict[str, str]:
    """Return the names of a shape's fields, and of those of the objects in it, each with its quoted form."""
    schemas = msgspec.json.schema_components([shape])[1]
    return {name: repr(name) for schema in schemas.values() for name in schema.get("properties", ())}


def _json_name(name: str) -> str:
    return _JSON_NAMES.get(name, name)


MAX_POLICY = 500  # characters of a policy spec
MAX_TEXTS = "--max-client-batch-size"  # stands for a server's own number in schemas; openapi.py puts it in

PolicySpec = Annotated[str, Meta(max_length=MAX_POLICY, description="a policy spec or the name of an operating point")]
LongSpec = Annotated[
    str,
    Meta(
        max_length=MAX_POLICY,
        description="texts longer than the model: cut, windows, or windows(COMBINATION, POLICY) with mean, maximum or "
        "vote; default: the server's --long",
    ),
]
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
    direction: the end that such a text loses; None for the one in the model folder
    max_tokens: truncate to fewer tokens than the model reads
    long: how texts longer than the model are read; None is the server's ``--long``
    activation: the function that turns logits into scores; None is the model's own
    """

    texts: Sequence[Text]
    nested: bool = True
    truncate: bool | None = None
    direction: Direction | None = None
    max_tokens: int | None = None
    policy: str | None = None
    deadline_ms: float | None = None
    trace: bool = False
    activation: str | None = None
    top_k: int | None = None
    long: str | None = None


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
        remedy = "; send the others in another" if texts > max_texts else ""
        raise ApiError(
            "Validation", f"{plural(texts, 'text')} in a request, expected 1 to {max_texts} ({MAX_TEXTS}){remedy}"
        )


def check_not_empty(texts: Sequence[Text]) -> None:
    """Check that every text has characters; a pair has some if either of its texts does.

    Raises:
        ApiError: ``Empty``, as TEI has it.
    """
    for text in texts:
        if text in ("", ("", "")):
            raise ApiError("Empty", "`inputs` cannot be empty")
