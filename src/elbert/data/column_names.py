"""Which columns of a data file or table are read, under which names, and what separates them in a csv file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from elbert._settings import Reader, parse_values, setting, settings_of
from elbert.errors import DataError, InputError

DELIMITERS = (",", ";", "\t", "|")  # that are found from the header of a table, the first where several fit
NAMED_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}
WORD_COLUMNS = {"tokens": "tokens", "tags": "tags"}  # instead of text and label
ROLES = ("text", "text_pair", "label")


def _parse_name(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text


def _parse_delimiter(text: str) -> str:
    found = NAMED_DELIMITERS.get(text, text)
    if len(found) != 1 or found in '"\r\n\0':
        raise ValueError
    return found


column_name = Reader(_parse_name, "the name of a column")
delimiter_text = Reader(_parse_delimiter, "one character, or tab")


@dataclass(frozen=True)
class Columns:
    """The names of the columns that hold texts and labels, and the delimiter of csv files.

    The commands that read data have a flag for each field, and functions of the library an argument.
    """

    text_column: str | None = setting(
        None, "column of the file that holds the texts", column_name, "NAME", default_text="text"
    )
    text_pair_column: str | None = setting(
        None, "column with the second text of each pair", column_name, "NAME", default_text="text_pair, where it exists"
    )
    label_column: str | None = setting(None, "column with the labels", column_name, "NAME", default_text="label")
    delimiter: str | None = setting(
        None,
        "character between the fields of a csv file",
        delimiter_text,
        "C",
        default_text="found from the header: a comma, semicolon, tab or |",
    )

    def __post_init__(self) -> None:
        """Check that no column has two uses.

        Raises:
            InputError: one has.
        """
        used = dict[str, str]()
        for role in ROLES:
            if (other := used.setdefault(self.names[role], role)) != role:
                raise InputError(
                    f"the column {self.names[role]!r:.80} is both {other}_column and {role}_column; name two columns"
                )

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Columns:
        """Return the columns that options by name describe.

        Raises:
            InputError: a name is unknown, or a value is not as expected.
        """
        return cls(**parse_values(options, {item.name: item for item in settings_of(cls)}))

    @property
    def is_default(self) -> bool:
        """Whether all columns have their usual names."""
        return self.text_column is None and self.text_pair_column is None and self.label_column is None

    @cached_property
    def names(self) -> dict[str, str]:
        """The column of each use: ``text``, ``text_pair`` and ``label``."""
        return {role: getattr(self, f"{role}_column") or role for role in ROLES}


DEFAULT_COLUMNS = Columns()


@dataclass(frozen=True)
class Selection:
    """The columns that one reader needs.

    ``labels`` is whether the labels are read, ``needs_labels`` whether a table without them is an error. ``keep`` are
    further columns, whose values are kept beside the texts.
    """

    columns: Columns = DEFAULT_COLUMNS
    labels: bool = True
    needs_labels: bool = False
    keep: tuple[str, ...] = ()

    @cached_property
    def names(self) -> dict[str, str]:
        """The column of each use that is read; ``tokens`` and ``tags`` too, where no column of texts is named."""
        unused = () if self.labels else ("label", "tags")
        words = WORD_COLUMNS if self.columns.text_column is None else {}
        return {role: name for role, name in {**self.columns.names, **words}.items() if role not in unused}

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """All columns that are read, where they exist."""
        return tuple(dict.fromkeys([*self.names.values(), *self.keep]))

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The columns that texts and labels must have."""
        pair = self.columns.text_pair_column
        needs_labels = self.labels and (self.needs_labels or self.columns.label_column is not None)
        names = (self.names["text"], pair, self.names["label"] if needs_labels else None)
        return tuple(name for name in names if name is not None)

    def find_missing(self, found: Collection[str]) -> str | None:
        """Return the first column that texts and labels must have and that is missing; None if all are there."""
        required = self.required
        if "tokens" in found and self.names["text"] not in found and "tokens" in self.names:
            required = (WORD_COLUMNS["tags"],) if self.needs_labels and self.labels else ()
        return next((name for name in required if name not in found), None)

    def find_missing_kept(self, found: Collection[str]) -> str | None:
        """Return the first column to keep that is missing."""
        return next((name for name in self.keep if name not in found), None)

    def check(self, found: Sequence[str], source: str) -> None:
        """Check that the columns of a table are there, and that none of them occurs twice.

        Raises:
            DataError: with the columns found.
        """
        if (missing := self.find_missing(found) or self.find_missing_kept(found)) is not None:
            raise DataError(f"{source}: {self.describe_missing(missing, found)}")
        if twice := next((name for name in self.needed if list(found).count(name) > 1), None):
            raise DataError(f"{source}: column {twice} occurs twice; columns found: {_list(found)}")

    def describe_missing(self, missing: str, found: Collection[str]) -> str:
        """Return the message about a column that is not among those found, with the remedy."""
        message = f"no column named {missing}; columns found: {_list(found)}"
        if len(found) == 1 and (between := next((mark for mark in DELIMITERS if mark in next(iter(found))), None)):
            return f"{message}: {between!r} between them can be the delimiter (--delimiter)"
        role = next((role for role in ROLES if self.columns.names[role] == missing), None)
        if role is None:
            return message if missing not in self.keep else f"{message}; keep (--keep) names columns of the data"
        close = next((name for name in found if name.strip().lower() == missing.strip().lower()), None)
        another = "names another" if close is None else f"can be {close!r}"
        return f"{message}; {role}_column (--{role.replace('_', '-')}-column) {another}"


ALL_COLUMNS = Selection()


def _list(found: Collection[str]) -> str:
    return f"{', '.join(map(str, found)) or 'none':.300}"
