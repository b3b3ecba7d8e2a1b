"""Text of unknown origin as one line for a terminal or a log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

# What a terminal or a reader of logs obeys: control characters, embeddings, overrides and isolates of the writing
# direction, deprecated format characters, annotations. Lone surrogates cannot be written. Joiners, soft hyphens and
# direction marks belong to words, and characters that are newer than this Python do no harm.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff]")


def clean(text: str) -> str:
    """Return a text of the same length, with U+FFFD for each character that a terminal obeys or cannot show."""
    return UNSAFE.sub("\ufffd", text)


def clean_line(text: str) -> str:
    """Return a text as one line, cleaned."""
    return clean(" ".join(text.split()))


def plural(count: int, noun: str, many: str = "") -> str:
    """Return a number with its noun: ``1 text``, ``2,000 texts``; ``many`` is the form that is not ``noun`` + s."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def indefinite(noun: str) -> str:
    """Return a noun with its article: ``an ALBERT``, ``a BERT``."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


MAX_COMPARED = 100  # characters of a text that is compared with names
MAX_ERROR = 300  # characters of another library's error


def quote_error(error: BaseException) -> str:
    """Return the message of another library's error as a part of one line: it may quote the file that it is about."""
    return clean_line(str(error))[:MAX_ERROR]


def shorten(text: str, width: int) -> str:
    """Return one line of at most ``width`` characters, as :func:`clean_line` does."""
    line = clean_line(text[: 4 * width])
    return line if len(line) <= width else line[: width - 1] + "…"


def suggest(text: str, known: Mapping[str, str], most: int = 3) -> str:
    """Return ", closest to A or B" for what is similar to a text; nothing if nothing is.

    ``known`` maps what is compared to what is shown.
    """
    close = dict.fromkeys(known[key] for key in get_close_matches(text[:MAX_COMPARED], known, most))
    return f", closest to {' or '.join(close)}" if close else ""
