"""Texts as callers pass them, with one check for every function that takes several, and the tokens of one row."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from elbert.data.labels import is_missing
from elbert.errors import InputError
from elbert.tokenization.word_pieces import NO_PIECES, Pieces

Text = str | tuple[str, str]
Direction = Literal["left", "right"]
MAX_ID = 2**31 - 1
SURROGATE = re.compile("[\ud800-\udfff]")


class Tokens:
    """One row: ids and type ids ``[tokens]``, and whether the text was truncated.

    Both are kept as packed numbers, five bytes a token, because data sets and blocks of texts are kept as tokens.
    """

    __slots__ = ("_ids", "_type_ids", "pieces", "truncated")

    def __init__(
        self, ids: Sequence[int], type_ids: Sequence[int], truncated: bool, pieces: Pieces = NO_PIECES
    ) -> None:
        """Type ids are from 0 to 255. ``pieces`` are those of a text whose tokens are classified.

        Raises:
            InputError: an id is too large for any model; a tokenizer's file can have such ids.
        """
        try:
            self._ids = array("i", ids)
        except OverflowError as error:
            raise InputError(
                f"the tokenizer gives the token id {max(ids):,}, expected at most {MAX_ID:,}; use the tokenizer files "
                "of the model"
            ) from error
        self._type_ids = bytes(type_ids)
        self.truncated = truncated
        self.pieces = pieces

    @property
    def ids(self) -> list[int]:
        """The ids, as a new list."""
        return self._ids.tolist()

    @property
    def type_ids(self) -> list[int]:
        """The type ids, as a new list."""
        return list(self._type_ids)

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        """Compare all three."""
        if not isinstance(other, Tokens):
            return NotImplemented
        return (self._ids, self._type_ids, self.truncated) == (other._ids, other._type_ids, other.truncated)

    def __hash__(self) -> int:
        """Return a hash that agrees with equality."""
        return hash((self._ids.tobytes(), self._type_ids, self.truncated))

    def __repr__(self) -> str:
        """Return the expression that builds the row."""
        return f"Tokens({self.ids}, {self.type_ids}, truncated={self.truncated})"


def check_text(text: Any, number: int) -> Text:
    """Return a text, or a pair of texts as a tuple; ``number`` is its position in the input, for error messages.

    A second text that is empty or missing (None, NaN, pandas' NA) is none, as in data files and tables.

    Raises:
        InputError: the value is neither a string nor a pair of strings.
    """
    is_pair = isinstance(text, (tuple, list)) and len(text) == 2
    parts = tuple(text) if is_pair else (text,)
    if is_pair and not isinstance(parts[1], str) and is_missing(parts[1]):
        parts = (parts[0], "")
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"text {number} is {type(text).__name__}, expected a string or a pair (text, text_pair)")
    if any(has_surrogate(part) for part in parts):
        raise InputError(f"text {number} holds a lone surrogate, which is no character; got {text!a:.80}")
    return (parts[0], parts[1]) if is_pair and parts[1] else parts[0]


def count_characters(text: object) -> int:
    """Return the characters of a text, or of both texts of a pair; 0 for a value that is no text."""
    parts = text if isinstance(text, tuple | list) else (text,)
    return sum(len(part) for part in parts if isinstance(part, str))


def has_surrogate(text: str) -> bool:
    """Return whether a string holds a lone surrogate, which UTF-8 cannot write."""
    return not text.isascii() and SURROGATE.search(text) is not None


EXPECTED = "expected a list (or any iterable) of strings or of pairs (text, text_pair)"


def check_texts(texts: Any) -> Iterable[Any]:
    """Return ``texts`` if it is an iterable of several items; each item is checked when it is read.

    Lists, generators, a column of a table (``df["text"]``) and arrays of strings, pyarrow's too, are accepted.

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
    if hasattr(texts, "to_pylist"):  # pyarrow's arrays, whose items are no strings
        items: list[Any] = texts.to_pylist()
        return items
    return texts


def list_texts(texts: Any) -> list[Text]:
    """Return the checked texts as a list.

    Raises:
        InputError: they are no texts, or an item is neither a string nor a pair of strings.
    """
    return [check_text(text, number) for number, text in enumerate(check_texts(texts))]
