"""The label names of a data file, collected from its rows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from elbert._display import plural, quote_error
from elbert.data.column_names import DEFAULT_COLUMNS, Columns
from elbert.data.in_memory import class_names, iterate_examples
from elbert.data.labels import LabelSet, is_boolean, is_numeric, parse_bit, parse_index, parse_label, split_labels
from elbert.data.records import Example
from elbert.errors import BadRow, DataError, InputError

LABELS_FILE = "labels.json"
MAX_CLASSES = 100_000


def read_label_names(
    data: object,
    *,
    multi: bool = False,
    source: str = "data",
    columns: Columns = DEFAULT_COLUMNS,
    skip_bad: Callable[[BadRow], None] | None = None,
) -> list[str]:
    """Return the label names of a data file or of data in memory (:func:`iterate_examples`), in index order.

    They are the same for every format. Names are sorted by code point (codes such as ``007`` by number, before others).
    Where all labels are indices, the names are those of ``labels.json`` beside the file (a JSON list), or those that a
    Dataset of ``datasets`` declares, else ``LABEL_0`` up to the highest. With ``multi``,
    lists of 0 and 1 that all have the same length from two are vectors, with one label for each position. The error of
    a row without a name or an index is passed to ``skip_bad`` where it is a function.

    Raises:
        DataError: there are no labels, or ``labels.json`` does not fit.
        BadRow: a row has no label, or one that is neither a name nor an index, and there is no ``skip_bad``; names and
            indices are mixed; or the highest index is a code: fewer than half of the indices up to it occur.
    """
    file = Path(data) if isinstance(data, str | os.PathLike) else None
    source = source if file is None else str(data)
    found = _Collector(source)
    for example in iterate_examples(data, source=source, columns=columns, needs_labels=True, skip_bad=skip_bad):
        found.rows += 1
        try:
            if multi:
                found.add_several(*split_labels(example.label), example.line)
            else:
                found.add(_read_one(example.label), example.line)
        except InputError as error:
            bad = example.bad_row(str(error))
            if skip_bad is None:
                raise bad from error
            skip_bad(bad)
    named, origin = (None, "") if found.names else _declared_names(data, file, columns)
    if width := found.vector_width():
        if named and len(named) != width:
            raise DataError(f"{origin}: names {plural(len(named), 'label')}, but {source} has 0/1 vectors of {width}")
        return named or [f"LABEL_{index}" for index in range(width)]
    found.add_undecided()
    if found.names:
        return sorted(found.names, key=_order)
    if not found.indices:
        why = "the rows have none" if found.rows else "there are no rows"
        raise DataError(
            f"{source}: no labels found, {why}; expected names or indices in the column {columns.names['label']}"
        )
    if named is None:
        return [f"LABEL_{index}" for index in range(found.highest_index() + 1)]
    for text, line in found.indices.items():
        try:
            LabelSet(named).read_class(text)
        except InputError as error:
            raise conflict(source, line, f"{error}, which are those of {origin}") from error
    return named


def read_tag_names(
    data: object,
    *,
    source: str = "data",
    columns: Columns = DEFAULT_COLUMNS,
    skip_bad: Callable[[BadRow], None] | None = None,
) -> list[str]:
    """Return the tags of a data file or of data in memory, ``O`` first, then sorted; those of ``datasets`` as declared.

    Raises:
        DataError: there are no tags.
        BadRow: the tags of a row are no names, and there is no ``skip_bad``.
    """
    if (declared := class_names(data, "tags")) is not None:
        return declared
    names = set[str]()
    for example in iterate_examples(data, source=source, columns=columns, needs_labels=True, skip_bad=skip_bad):
        try:
            names.update(_check_tags(example))
        except BadRow as bad:
            if skip_bad is None:
                raise
            skip_bad(bad)
    if not names:
        raise DataError(f"{source}: no tags found; expected the columns tokens and tags")
    return sorted(names, key=lambda name: (name != "O", name))


def conflict(source: str, line: int, why: str) -> BadRow:
    """Return the error of a row that contradicts the others."""
    bad = BadRow(source, line, why)
    bad.conflicts = True
    return bad


def _check_tags(example: Example) -> Sequence[str]:
    tags = example.label
    if not isinstance(tags, Sequence) or isinstance(tags, str):
        raise example.bad_row("no tags; expected the columns tokens and tags")
    if wrong := next((tag for tag in tags if not isinstance(tag, str) or not tag.strip()), None):
        raise example.bad_row(f"a tag is {wrong!r:.60}, expected a name; name indices with labels")
    return tags


class _Collector:
    """The distinct labels of a file, each with its first line.

    Lists of 0 and 1 are indices or vectors, which only the last row decides: ``undecided`` holds their items,
    ``widths`` their lengths, and ``vector`` the first of them that repeats an item, so that it must be a vector.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.rows = 0
        self.names: dict[str, int] = {}
        self.indices: dict[str, int] = {}
        self.undecided: dict[str, int] = {}
        self.widths: dict[int, int] = {}
        self.vector: tuple[int, int] | None = None  # width, line
        self.other: int | None = None  # the first line that is no list of 0 and 1

    def add(self, text: str, line: int) -> None:
        """Add one label.

        Raises:
            InputError: it is a number but no index.
            BadRow: the file has names and indices.
        """
        if not is_numeric(text):
            self.names.setdefault(text.lower() if is_boolean(text) else text, line)
        elif parse_index(text) is None:
            raise InputError(
                f"label {text!r:.60} is neither a name nor an index: indices are whole numbers from 0; leave out rows "
                "without a class, name classes that are numbers with --labels, or train on values with --problem "
                "regression"
            )
        else:
            self.indices.setdefault(text, line)
        if self.names and self.indices:
            (name, named), (index, indexed) = next(iter(self.names.items())), next(iter(self.indices.items()))
            raise conflict(
                self.source,
                max(named, indexed),
                f"the label column mixes names ({name!r:.60}) with indices ({index!r:.60}), see line "
                f"{min(named, indexed)}; use one or the other, or list all names with --labels",
            )

    def add_several(self, parts: Sequence[str], is_list: bool, line: int) -> None:
        """Add the labels of a multi-label row.

        Raises:
            InputError, BadRow: as for one label.
        """
        bits = [parse_bit(part) for part in parts]
        if not is_list or None in bits:
            for part in parts:
                self.add(part, line)
            if parts and self.other is None:
                self.other = line
        elif bits:
            self.widths.setdefault(len(bits), line)
            for part in parts:
                self.undecided.setdefault(part, line)
            if self.vector is None and len(set(bits)) < len(bits):
                self.vector = len(bits), line

    def vector_width(self) -> int:
        """Return the number of labels if the rows are 0/1 vectors, else 0.

        Raises:
            BadRow: one row must be a vector, and another cannot be one of the same width.
        """
        if self.vector is None:
            return 2 if set(self.widths) == {2} and self.other is None else 0
        width, line = self.vector
        others = [other for length, other in self.widths.items() if length != width]
        if self.other is not None:
            others.append(self.other)
        if others:
            raise conflict(
                self.source, min(others), f"no 0/1 vector of {plural(width, 'label')}, but the label of line {line} is"
            )
        return width

    def add_undecided(self) -> None:
        """Read the lists of 0 and 1 as indices.

        Raises:
            BadRow: the file has names too.
        """
        for part, line in self.undecided.items():
            self.add(part, line)

    def highest_index(self) -> int:
        """Return the highest index.

        Raises:
            BadRow: it looks like a code or a value.
        """
        lines = {parse_index(text) or 0: line for text, line in reversed(self.indices.items())}
        highest = max(lines)
        if highest >= MAX_CLASSES or 2 * len(lines) < highest + 1:
            shown = ",".join(map(str, sorted(lines)[:3])) + (",…" if len(lines) > 3 else "")
            raise conflict(
                self.source,
                lines[highest],
                f"label {highest} is a code or a value rather than an index: of 0 to {highest} only {len(lines)} "
                f"occur; name the classes with --labels={shown} or in {LABELS_FILE}",
            )
        return highest


def _read_one(label: object) -> str:
    text = parse_label(label)
    if not text:
        raise InputError("no label; expected a name or an index")
    if isinstance(text, list):
        raise InputError(f"expected one label, got the list {text!r:.60}; lists need --problem multi-label")
    return text


def _order(name: str) -> tuple[bool, int, str]:
    return (False, int(name), name) if name.isascii() and name.isdigit() and len(name) < 20 else (True, 0, name)


def _declared_names(data: object, file: Path | None, columns: Columns) -> tuple[list[str] | None, str]:
    """Return the names that the data declares for its indices, None without any, and where they are."""
    if file is None:
        return class_names(data, columns.names["label"]), "the classes of the data set"
    names_file = file.parent / LABELS_FILE
    is_there = str(file) != "-" and names_file.is_file()
    return (_read_names(names_file) if is_there else None), str(names_file)


def _read_names(file: Path) -> list[str]:
    try:
        names = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{file}: not readable as JSON ({quote_error(error)}); expected a list of label names"
        ) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError(f"{file}: expected a JSON list of distinct label names, in index order")
    return names
