"""Examples of data in memory: tables, columns by name, rows, or texts and their labels. A path is a data file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from elbert._display import plural
from elbert.data.column_names import DEFAULT_COLUMNS, Columns, Selection
from elbert.data.examples import check_records, read_examples
from elbert.data.records import Example, Record
from elbert.errors import BadRow, DataError, InputError

FORMS = (
    "expected a file, a table with the columns text and label (pandas, polars, pyarrow or datasets), a dict of such "
    "columns, a list of pairs (text, label) or of dicts, or texts and labels"
)
MISSING_KINDS = ("NAType", "NaTType")  # pandas' own missing values, which compare with nothing


def iterate_examples(
    data: object,
    labels: object = None,
    *,
    source: str = "data",
    columns: Columns = DEFAULT_COLUMNS,
    needs_labels: bool = False,
    skip_bad: Callable[[BadRow], None] | None = None,
) -> Iterator[Example]:
    """Return the examples of a data file or of values in memory.

    ``data`` is one of

    - the path of a file (:func:`read_examples`);
    - a table: a pandas or polars DataFrame, a pyarrow Table, a Dataset of ``datasets``; or a dict of columns. Columns
      are ``text``, and optionally ``text_pair`` and ``label``, or those that ``columns`` names; others are ignored;
    - an iterable of rows: dicts with these names, or pairs ``(text, label)``, where the text may be a pair of texts;
    - texts, with ``labels``; or one tuple ``(texts, labels)``.

    An error of a row names its position, from 0, after ``source``; with ``skip_bad`` it is passed to that function, and
    reading continues. With ``needs_labels``, a table without labels is an error.

    Raises:
        InputError: it is none of these, or there are not as many labels as texts.
        DataError: a table lacks a column, or a file cannot be read.
        BadRow: a text is missing or not a string; while the examples are read.
    """
    if isinstance(data, str | os.PathLike):
        if labels is not None:
            raise InputError("the labels of a file are in its column label: leave out labels, or pass texts")
        return read_examples(os.fspath(data), columns=columns, needs_labels=needs_labels, skip_bad=skip_bad)
    if labels is None and isinstance(data, list) and data and all(isinstance(row, Example) for row in data):
        return iter(data)
    if labels is None and isinstance(data, tuple) and len(data) == 2:
        data, labels = data
    selection = Selection(columns, needs_labels=needs_labels)
    return check_records(_find_rows(data, labels, source, selection), source, skip_bad, selection)


def make_reusable(data: Any) -> Any:
    """Return data that can be read several times: an iterator becomes a list."""
    return list(data) if isinstance(data, Iterator) else data


def class_names(data: Any, column: str = "label") -> list[str] | None:
    """Return the names of the classes that a Dataset of ``datasets`` declares for a column, if it does."""
    features = getattr(data, "features", None)
    label = features.get(column) if isinstance(features, Mapping) else None
    names = getattr(label, "names", None) or getattr(getattr(label, "feature", None), "names", None)
    return list(names) if names else None


def _find_rows(data: Any, labels: Any, source: str, selection: Selection) -> Iterator[Record]:
    if labels is not None:
        return _pair(data, labels, selection)
    found = _column_names(data)
    if found is not None:
        return _read_columns(data, found, source, selection)
    if data is None or isinstance(data, bytes | bytearray) or not isinstance(data, Iterable):
        raise InputError(f"{source} is {type(data).__name__} {data!r:.60}; {FORMS}")
    return (_read_row(row, number, source, selection) for number, row in enumerate(data))


def _column_names(data: Any) -> list[str] | None:
    """Return the columns of a table or a dict, None for anything else.

    Raises:
        DataError: it is a dict of tables, as ``datasets`` loads several splits.
    """
    if isinstance(data, Mapping):
        tables = [name for name, value in data.items() if _column_names(value) is not None]
        if tables:
            raise DataError(f"this is a dict of {len(data)} tables: pass one of them, data[{tables[0]!r}]")
        return [str(name) for name in data]
    if callable(getattr(data, "collect", None)) and hasattr(data, "__getitem__"):  # polars' LazyFrame, Spark's tables
        raise InputError(f"a {type(data).__name__} is a query and no table: pass its result as a DataFrame in memory")
    names = getattr(data, "column_names", None)
    names = getattr(data, "columns", None) if names is None else names
    if names is None or callable(names) or not hasattr(data, "__getitem__"):
        return None
    return [str(name) for name in names]


def _read_columns(table: Any, columns: Sequence[str], source: str, selection: Selection) -> Iterator[Record]:
    selection.check(columns, source)
    found = {name: _list_values(table[name]) for name in selection.needed if name in columns}
    sizes = {name: len(values) for name, values in found.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"{source} has columns of different lengths: {sizes}")
    rows = zip(*found.values(), strict=True)
    return (_make_record(number, dict(zip(found, row, strict=True))) for number, row in enumerate(rows))


def _read_row(row: Any, number: int, source: str, selection: Selection) -> Record:
    if isinstance(row, Mapping):
        if (missing := selection.find_missing([*row])) is not None:
            raise DataError(f"{source}:{number}: a row has {selection.describe_missing(missing, [*row])}")
        return _make_record(number, {name: row[name] for name in selection.needed if name in row})
    if isinstance(row, str):
        if selection.needs_labels:
            raise BadRow(source, number, "no label; expected pairs (text, label), or labels beside the texts")
        return Record(number, {selection.names["text"]: row})
    if isinstance(row, tuple | list) and len(row) == 2:
        return _name_fields(number, row[0], row[1], selection)
    raise InputError(f"{source}:{number} is {type(row).__name__} {row!r:.60}; {FORMS}")


def _pair(texts: Any, labels: Any, selection: Selection) -> Iterator[Record]:
    kind = type(texts).__name__
    if isinstance(texts, str | bytes | Mapping) or _column_names(texts) is not None or not isinstance(texts, Iterable):
        raise InputError(f"labels go with a list of texts, got {kind}; {FORMS}")
    if isinstance(labels, str | bytes | Mapping) or not isinstance(labels, Iterable):
        raise InputError(f"labels are {type(labels).__name__} {labels!r:.60}, expected a list with one for each text")
    texts, labels = _list_values(texts), _list_values(labels)
    if len(texts) != len(labels):
        raise InputError(f"{plural(len(labels), 'label')} for {plural(len(texts), 'text')}; expected one for each")
    rows = zip(texts, labels, strict=True)
    return (_name_fields(number, text, label, selection) for number, (text, label) in enumerate(rows))


def _name_fields(number: int, text: Any, label: object, selection: Selection) -> Record:
    """Return a record of a text, or of a pair of texts, and its label."""
    names = selection.columns.names
    first, second = text if isinstance(text, tuple | list) and len(text) == 2 else (text, None)
    pair = names["text_pair"]
    return _make_record(number, {names["text"]: first, pair: second, names["label"]: label})


def _make_record(number: int, fields: Mapping[Any, object]) -> Record:
    return Record(number, {name: _none_if_missing(value) for name, value in fields.items()})


def _none_if_missing(value: Any) -> object:
    if type(value).__name__ in MISSING_KINDS or (isinstance(value, float) and value != value):
        return None
    return value


def _list_values(values: Any) -> list[Any]:
    """Return the Python values of a list, an array, or a column of a table."""
    for name in ("tolist", "to_list", "to_pylist"):
        convert = getattr(values, name, None)
        if callable(convert):
            found = convert()
            return list(found) if isinstance(found, Iterable) else [found]
    return list(values)
