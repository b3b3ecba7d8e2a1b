"""Labels: from a value of a data file or of a Python list to a class, to 0 or 1 for each label, or to a number.

A value means the same in every format, because it is first turned into text, as it would be written in a csv file. The
table in ``docs/reference/labels.md`` lists every kind of value; ``tests/data/test_label_table.py`` checks it.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from decimal import Decimal
from typing import Literal

from elbert._display import plural, suggest
from elbert._syntax import parse_expression
from elbert.errors import InputError

SEPARATOR = ";"
OTHER_SEPARATORS = (",", "|")
SHOWN_NAMES = 10
COMPARED_NAMES = 1000  # difflib takes about a millisecond for these
EXACT = 2.0**53  # whole numbers up to here are exact as floats

NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE)
CODE = re.compile(r"[+-]?0\d.*", re.ASCII)  # 007 is a code and not the number 7
# A list as Python prints it. Items of numpy arrays have no commas between them, and are not matched.
ITEM = r"""(?:'(?:[^'\\]|\\[\\'"nrtxuU])*'|"(?:[^"\\]|\\[\\'"nrtxuU])*"|[-+.0-9eE]+|True|False)"""
PYTHON_LIST = re.compile(rf"\[\s*(?:{ITEM}(?:\s*,\s*{ITEM})*)?\s*\]", re.ASCII)

# How the lists of a multi-label file are read: 0 or 1 for each label, or the names and indices of the row's labels.
Form = Literal["vectors", "lists"]
Kind = Literal["vector", "list", "either", "neither"]


def parse_label(value: object, names: Container[str] = ()) -> str | list[str] | None:
    """Return a value as text without surrounding whitespace, or as a list of texts; None for null and NaN.

    ``[…]`` is a list, also when it is written as text, unless it is one of the names.

    Raises:
        InputError: the value has an unsupported type, or the list cannot be read.
    """
    value = _unwrap(value)
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [_parse_item(item) for item in value]
    text = _write_scalar(value)
    if text.startswith("[") and text.endswith("]") and text not in names:
        return _parse_list(text)
    return None if text.lower() == "nan" and text not in names else text


def is_missing(label: object) -> bool:
    """Whether a row has no label: null, NaN or an empty text, since tables have no null."""
    try:
        return parse_label(label) in (None, "")
    except InputError:
        return False


def parse_number(text: str) -> float | None:
    """Return the number that a text denotes, in ASCII digits, or None."""
    return float(text) if NUMBER.fullmatch(text) else None


def is_numeric(text: str) -> bool:
    """Whether a label denotes a number; digits with a leading zero are a code, and so a name."""
    return bool(NUMBER.fullmatch(text)) and not CODE.fullmatch(text)


def parse_index(text: str) -> int | None:
    """Return the index that a label denotes (``2``, ``2.0``), or None."""
    number = parse_number(text) if is_numeric(text) else None
    return int(number) if number is not None and number.is_integer() and 0 <= number < EXACT else None


def parse_bit(text: str) -> Literal[0, 1] | None:
    """Return an item of a 0/1 vector (``0``, ``1.0``, ``true``), or None."""
    number = parse_index({"false": "0", "true": "1"}.get(text.lower(), text))
    return 0 if number == 0 else 1 if number == 1 else None


def is_boolean(text: str) -> bool:
    """Whether a label is ``true`` or ``false``, in any case: csv files of pandas hold ``True``, of Excel ``TRUE``."""
    return text.lower() in ("true", "false")


class LabelSet:
    """The label names of a model, in index order, and the one reader of labels.

    A name takes precedence: exactly, then as a number (``2.0`` is the name ``2``) or boolean, and only then an index is
    an index. Where a name is a number, numbers are names only: index 0 must not mean the star rating ``1``.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._exact = {name.strip(): i for i, name in reversed([*enumerate(self.names)])}
        self._exact |= {name: i for i, name in enumerate(self.names)}
        numbers = {i: _normalise_number(name.strip()) for i, name in enumerate(self.names) if is_numeric(name.strip())}
        times = Counter(numbers.values())  # of "2" and "2.0" as two names, neither is meant by 2e0
        self._numbers = {text: i for i, text in numbers.items() if times[text] == 1}
        self._has_numbers = bool(numbers)
        self._booleans = {name.lower(): i for i, name in enumerate(self.names) if is_boolean(name)}

    def read_class(self, label: object) -> int:
        """Return the index of a single label.

        Raises:
            InputError: the label is missing, a list, or unknown; the message lists the closest names.
        """
        text = parse_label(label, self._exact)
        if isinstance(text, list):
            raise InputError(
                f"expected one label, got the list {text!r:.60}; "
                "lists are for multi-label models, and as tags for token classifiers"
            )
        if not text:
            raise InputError("no label; expected one label, a name or an index")
        return self._find(text)

    def read_several(self, label: object, form: Form | None = None) -> list[int]:
        """Return ``[classes]`` zeros and ones for a list of labels, or for text with them between ``;``.

        ``form`` is that of the other rows (:meth:`find_form`), None if it is unknown.

        Raises:
            InputError: the label is missing, can be read in two ways, or one of its parts is unknown or occurs twice.
        """
        parts, is_list = split_labels(label, self._exact)
        kind = self._classify(parts, is_list)
        if kind == "either" and form is None:
            raise InputError(
                f"label {parts!r:.60} can be a 0/1 vector or a list of indices; write names, or a file in which every "
                "list is a 0/1 vector"
            )
        if kind == "list" and form == "vectors":
            raise InputError(
                f"label {parts!r:.60} is no 0/1 vector of {plural(len(self.names), 'label')}, and other rows are"
            )
        if kind == "vector" or (kind == "either" and form == "vectors"):
            return [parse_bit(part) or 0 for part in parts]
        chosen = [0] * len(self.names)
        for part in parts:
            index = self._find(part)
            if chosen[index]:
                raise InputError(
                    f"label {part!r:.60} occurs twice; a row lists each of its labels once, or is a 0/1 vector of "
                    f"{plural(len(self.names), 'label')}"
                )
            chosen[index] = 1
        return chosen

    def find_form(self, labels: Iterable[object]) -> Form | None:
        """Return how the lists of a file are read, from all of its labels.

        A list of 0 and 1 as long as the label set is a vector if it repeats one of them, and then all lists have to be.
        Of two labels, ``[0, 1]`` is a vector where no list of the file can be anything else.
        """
        kinds = {self._classify_label(label) for label in labels}
        if "vector" in kinds:
            return "vectors"
        if "list" in kinds:
            return "lists"
        return "vectors" if "either" in kinds and len(self.names) == 2 else None

    def _classify_label(self, label: object) -> Kind:
        try:
            return self._classify(*split_labels(label, self._exact))
        except InputError:  # it is raised, with its line, when the label is read
            return "neither"

    def _classify(self, parts: Sequence[str], is_list: bool) -> Kind:
        if not parts:
            return "neither"
        bits = [parse_bit(part) for part in parts]
        if not is_list or len(bits) != len(self.names) or None in bits:
            return "list"
        # A list of indices names each once: [0] of one label and [0, 1] of two are all that could be one.
        return "either" if sorted(bit or 0 for bit in bits) == list(range(len(bits))) else "vector"

    def _find(self, text: str) -> int:
        found = self._exact.get(text)
        if found is None and is_numeric(text):
            found = self._numbers.get(_normalise_number(text)) if self._has_numbers else parse_index(text)
        if found is None:
            found = self._booleans.get(text.lower())
        if found is None or found >= len(self.names):
            raise InputError(f"unknown label {text!r:.60}{self._suggest(text)}; expected {self._describe()}")
        return found

    def _suggest(self, text: str) -> str:
        known = {name.casefold(): repr(name) for name in reversed(self.names[:COMPARED_NAMES])}
        return suggest(text.casefold(), known)

    def _describe(self) -> str:
        shown = ", ".join(self.names[:SHOWN_NAMES]) + (", …" if len(self.names) > SHOWN_NAMES else "")
        return f"one of {shown}" + ("" if self._has_numbers else f", or an index from 0 to {len(self.names) - 1}")


def resolve_label(label: object, names: Sequence[str]) -> int:
    """Return the index of one label (:meth:`LabelSet.read_class`).

    Raises:
        InputError: the label is not one of the names or their indices.
    """
    return LabelSet(names).read_class(label)


def resolve_labels_multi(label: object, names: Sequence[str]) -> list[int]:
    """Return ``[classes]`` zeros and ones for the labels of one row (:meth:`LabelSet.read_several`).

    Raises:
        InputError: the labels cannot be read.
    """
    return LabelSet(names).read_several(label)


def resolve_value(label: object) -> float:
    """Return the target number of a regression row.

    Raises:
        InputError: the label is not a finite number.
    """
    text = parse_label(label)
    if not text:
        raise InputError("no label; expected a finite number as label")
    number = parse_number(text) if isinstance(text, str) else None
    if number is None or not math.isfinite(number):
        raise InputError(f"expected a finite number as label, got {text!r:.60}")
    return number


def split_labels(label: object, names: Container[str] = ()) -> tuple[list[str], bool]:
    """Return the labels of a multi-label row, and whether they were written as a list; an empty text has none.

    Raises:
        InputError: there is no label, or it is one text that seems to hold several labels.
    """
    text = parse_label(label, names)
    if text is None:
        raise InputError("no label; expected a list of names or indices")
    if isinstance(text, list):
        return text, True
    if text in names:
        return [text], False
    if SEPARATOR in text:
        return [part.strip() for part in text.split(SEPARATOR) if part.strip()], True
    words = text.split()
    if any(other in text for other in OTHER_SEPARATORS) or (len(words) > 1 and all(map(is_numeric, words))):
        raise InputError(
            f"label {text!r:.60} can be one name or several; separate labels with {SEPARATOR}, "
            'or write a JSON list such as ["a", "b"]'
        )
    return ([text] if text else []), False


def _unwrap(value: object) -> object:
    """Return the Python value of a numpy scalar or array, a tensor, or an Arrow scalar."""
    if isinstance(value, str | int | float | list | None):
        return value
    for name in ("tolist", "as_py"):
        convert = getattr(value, name, None)
        if callable(convert):
            return convert()
    return value


def _write_scalar(value: object) -> str:
    """Return the text of a scalar as a csv file holds it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise InputError(f"label {value!r:.60} holds a lone surrogate, which is no character")
        return value.strip()
    if isinstance(value, int | float | Decimal):
        try:
            return str(value)
        except ValueError:  # Python writes no more than 4300 digits
            raise InputError("label is a number of too many digits; expected a name or an index") from None
    raise InputError(
        f"label must be a name, an index, a number or a list of labels, got {type(value).__name__} {value!r:.60}"
    )


def _parse_item(item: object) -> str:
    item = _unwrap(item)
    text = "" if item is None or isinstance(item, list | tuple) else _write_scalar(item)
    if not text:
        raise InputError(f"a list of labels holds names or indices, got {item!r:.60} in it")
    return text


def _parse_list(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(parse_expression(text)) if PYTHON_LIST.fullmatch(text) else None
        except (ValueError, SyntaxError):
            found = None
    if not isinstance(found, list):
        raise InputError(
            f'label {text!r:.60} is no list that can be read; write JSON such as ["a", "b"] or [0, 2], '
            "or list it among the label names"
        )
    return [_parse_item(item) for item in found]


def _normalise_number(text: str) -> str:
    """Return a number in the shortest form: ``2`` for ``2.0``, ``+2`` and ``2e0``; longer ones unchanged."""
    number = float(text)
    if not math.isfinite(number) or abs(number) >= EXACT:
        return text.lower()
    return str(int(number)) if number.is_integer() else repr(number)
