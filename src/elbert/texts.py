"""Texts as callers pass them: one string, or a pair of strings."""

from __future__ import annotations

from typing import Any

from elbert.errors import InputError

Text = str | tuple[str, str]


def check_text(text: Any, number: int) -> Text:
    """Return a text, or a pair of texts as a tuple; ``number`` is its position in the input, for error messages.

    Raises:
        InputError: the value is neither a string nor a pair of strings.
    """
    is_pair = isinstance(text, (tuple, list)) and len(text) == 2
    parts = tuple(text) if is_pair else (text,)
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"text {number} is {type(text).__name__}, expected a string or a pair (text, text_pair)")
    try:
        for part in parts:
            part.encode()
    except UnicodeEncodeError:
        raise InputError(f"text {number} holds a lone surrogate, which is no character; got {text!a:.80}") from None
    return (parts[0], parts[1]) if is_pair else parts[0]
