"""The shape of Hugging Face's inference clients: ``inputs`` with an object of ``parameters``, answered nested."""

from __future__ import annotations

from typing import Any

from elbert.serving.http.given import Wanted, counted, kind_of, object_of, refused, text_or_pair, top_k_of
from elbert.serving.http.tei import one_of, refuse_empty
from elbert.texts import Text

FORM = '{"inputs": a text or an array of texts, "parameters": {"top_k"?, "function_to_apply"?}}'
FUNCTIONS = ("sigmoid", "softmax", "none")


def is_one(given: Any) -> bool:
    """Whether a body is such a call."""
    return isinstance(given, dict) and isinstance(given.get("parameters"), dict)


def wanted(given: Any, most: int) -> Wanted:
    """Read a body. Here ``["a", "b"]`` are two texts; a pair is ``{"text", "text_pair"}`` or an array in the array.

    Raises:
        Refusal: it has another shape, a text is empty, or it has more than ``most`` texts.
    """
    body = object_of(given, FORM)
    texts = texts_of(body["inputs"])
    counted(len(texts), most)
    refuse_empty(texts)
    parameters = body["parameters"]
    function = parameters.get("function_to_apply")
    if function is not None and function not in FUNCTIONS:
        raise refused(f"function_to_apply must be one of {', '.join(FUNCTIONS)}, or null")
    return Wanted(texts, function=function, top_k=top_k_of(parameters))


def texts_of(inputs: Any) -> list[Text]:
    """The texts and pairs.

    Raises:
        Refusal: it is none of the shapes.
    """
    if isinstance(inputs, str | dict):
        return [text_or_pair(inputs, 0)]
    if not isinstance(inputs, list):
        raise refused(f"inputs is {kind_of(inputs)}; expected {FORM}")
    return [one_of(given) if isinstance(given, list) else text_or_pair(given, i) for i, given in enumerate(inputs)]
