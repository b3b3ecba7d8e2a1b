"""What callers pass as texts: one check for every function that takes several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from elbert.errors import InputError
from elbert.tokenization.tokens import Text, check_text

EXPECTED = "expected a list (or any iterable) of strings or of pairs (text, text_pair)"


def check_texts(texts: Any) -> Iterable[Any]:
    """Return ``texts`` if it is an iterable of several items; each item is checked when it is read.

    Lists, generators, a column of a table (``df["text"]``) and arrays of strings are accepted.

    Raises:
        InputError: it is one string, a table, a mapping, or nothing that can be iterated; the message has the remedy.
    """
    kind = type(texts).__name__
    if isinstance(texts, str | bytes | bytearray):
        raise InputError(
            f"{EXPECTED}, got one {'string' if isinstance(texts, str) else kind}: put it into a list, [text]"
        )
    if hasattr(texts, "columns") or hasattr(texts, "column_names"):
        raise InputError(f'{EXPECTED}, got a table ({kind}): pass its column, table["text"]')
    if isinstance(texts, Mapping):
        raise InputError(f"{EXPECTED}, got a {kind}, whose keys are no texts: pass [(text, text_pair), …]")
    if not isinstance(texts, Iterable) or getattr(texts, "ndim", 1) == 0:
        raise InputError(f"{EXPECTED}, got {'None' if texts is None else f'{kind} {texts!r:.60}'}")
    return texts


def list_texts(texts: Any) -> list[Text]:
    """Return the checked texts as a list.

    Raises:
        InputError: they are no texts, or an item is neither a string nor a pair of strings.
    """
    return [check_text(text, number) for number, text in enumerate(check_texts(texts))]
