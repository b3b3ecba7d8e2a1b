"""Tokens of a request's texts; a text that cannot be used spoils no other."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from elbert.errors import ElbertError, InputError
from elbert.serving.errors import TokeniserFailure, TooLong
from elbert.text import Text, Tokeniser, Tokens, checked
from elbert.text.truncate import Direction

log = logging.getLogger(__name__)


def tokenised(
    tokeniser: Tokeniser, texts: Sequence[object], *, truncate: bool, direction: Direction
) -> list[Tokens | ElbertError]:
    """Tokens, or what is wrong, of each text or pair; ``direction`` is the end that a long text loses."""
    found = _checked(texts)
    tokens = iter(_encoded(tokeniser, [text for text in found if not isinstance(text, ElbertError)]))
    return [
        text if isinstance(text, ElbertError) else _fitted(next(tokens), tokeniser, text, number, truncate, direction)
        for number, text in enumerate(found)
    ]


def _encoded(tokeniser: Tokeniser, texts: list[Text]) -> list[Tokens]:
    try:
        return tokeniser.encode(texts)
    except (ElbertError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # tokenizers is Rust, and its panics are no Exception
        log.error("a request's texts could not be tokenised", exc_info=error)
        raise TokeniserFailure(f"the texts could not be tokenised ({type(error).__name__})") from error


def _checked(texts: Sequence[object]) -> list[Text | ElbertError]:
    found = list[Text | ElbertError]()
    for number, text in enumerate(texts):
        try:
            found.append(checked(text, number))
        except InputError as error:
            found.append(error)
    return found


def _fitted(
    tokens: Tokens, tokeniser: Tokeniser, text: Text, number: int, truncate: bool, direction: Direction
) -> Tokens | ElbertError:
    if tokens.truncated and not truncate:
        return TooLong(
            f"text {number} has more than {tokeniser.max_length} tokens, the most that the model reads; "
            "shorten it, or let it be truncated"
        )
    return tokeniser.encode([text], direction)[0] if tokens.truncated and direction == "left" else tokens
