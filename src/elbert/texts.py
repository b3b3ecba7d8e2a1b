"""Texts as callers pass them: one string, or a pair of strings."""

from __future__ import annotations

from typing import Any

from elbert.errors import InputError

Text = str | tuple[str, str]


def checked(text: Any, number: int) -> Text:
    """A text, or a pair of texts as a tuple; ``number`` is its place in the input, for errors.

    Raises:
        InputError: it is something else; the message says which.
    """
    pair = isinstance(text, (tuple, list)) and len(text) == 2
    parts = tuple(text) if pair else (text,)
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"text {number} is {type(text).__name__}, expected a string or a pair (text, text_pair)")
    try:
        for part in parts:
            part.encode()
    except UnicodeEncodeError:
        raise InputError(f"text {number} holds a lone surrogate, which is no character; came {text!a:.80}") from None
    return (parts[0], parts[1]) if pair else parts[0]
