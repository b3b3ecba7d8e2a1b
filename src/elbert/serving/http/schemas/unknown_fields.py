"""Fields that a shape of another server does not have: most are ignored, as that server does, and some are refused.

Clients of those servers send fields that have no effect here, and must work unchanged. Refused are only fields that
such a client does not send: a mistyped name of a known field, and an option of ``/v1/classify`` or of Hugging Face's
``parameters`` in a request that cannot have it. Ignored, either would change answers without a sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import TypeVar, get_args

import msgspec
from msgspec import Raw, Struct

from elbert.serving.http.body import decode_json, quote_name
from elbert.serving.http.errors import ApiError
from elbert.serving.http.schemas.classify import ClassifyRequest

Shape = TypeVar("Shape", bound=Struct)

OURS = frozenset(ClassifyRequest.__struct_fields__) - {"input", "inputs", "model", "user"}
OPTIONS = OURS | {"parameters", "candidate_labels", "function_to_apply"}
ACCEPTED = frozenset(["model", "user"])  # by every shape: of several models one is named so
SIMILAR = 0.8  # of a mistyped name; the names that clients of other servers send are less similar
MAX_COMPARED = 100  # names of a request; comparing takes some 50 µs for each
NOTHING = (b"null", b"{}", b"[]")  # values with which an option has no effect anywhere

_FIELDS = msgspec.json.Decoder(dict[str, Raw])


def decode_open(body: bytes | bytearray, decoder: msgspec.json.Decoder[Shape], form: str, max_texts: int) -> Shape:
    """Decode a body as ``decode_json`` does, of a shape that has other fields than those it knows.

    Raises:
        ApiError: it is rejected by ``decode_json``, or a field is refused.
    """
    request = decode_json(body, decoder, form, max_texts)
    try:
        fields = _FIELDS.decode(body)
    except msgspec.DecodeError as error:  # the name of an ignored field is no text
        raise ApiError("Malformed", f"the body is not JSON ({error}); expected JSON in UTF-8") from None
    _check_fields(fields, type(request), "the body", form)
    return request


def _check_fields(fields: Mapping[str, Raw], shape: type[Struct], place: str, form: str) -> None:
    """Check the fields of an object, and those of the objects that are its fields.

    Raises:
        ApiError: a field is refused; the message names it, and the closest that is known or who has it.
    """
    inner = _inner_shapes(shape)
    known = ACCEPTED.union(shape.__struct_fields__)
    unknown = [name for name, value in fields.items() if name not in known and bytes(value) not in NOTHING]
    for number, name in enumerate(unknown):
        close = get_close_matches(name[:MAX_COMPARED], known | OPTIONS, 1, SIMILAR) if number < MAX_COMPARED else []
        if not close and name not in OPTIONS:
            continue
        meant = name if name in OPTIONS else close[0]
        holder = next((f"{outer!r} has" for outer, one in inner.items() if meant in one.__struct_fields__), None)
        if meant in known:
            hint = f"closest to {meant!r}"
        elif holder is not None:
            hint = f"{holder} {meant!r}"
        elif meant in OURS:
            hint = f"/v1/classify has {meant!r}"
        elif meant == "parameters":
            hint = "POST / has 'parameters'"
        else:
            hint = "this server's models have labels of their own" if meant == "candidate_labels" else "POST / has it"
        raise ApiError("Validation", f"{place}: unknown field {quote_name(name)}, {hint}; a request is {form}")
    for name, one in inner.items():
        if not one.__struct_config__.forbid_unknown_fields and bytes(fields.get(name, b"")).startswith(b"{"):
            _check_fields(_FIELDS.decode(fields[name]), one, name, form)


@lru_cache
def _inner_shapes(shape: type[Struct]) -> dict[str, type[Struct]]:
    """Return the shapes of the fields that are objects."""
    return {
        field.name: kind
        for field in msgspec.structs.fields(shape)
        for kind in (field.type, *get_args(field.type))
        if isinstance(kind, type) and issubclass(kind, Struct)
    }
