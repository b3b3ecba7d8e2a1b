"""Parquet files (extra ``parquet``), read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from elbert._display import quote_error
from elbert._optional import require
from elbert.data.column_names import ALL_COLUMNS, Selection
from elbert.data.records import Record
from elbert.errors import BadRow, DataError

BATCH_ROWS = 1024
BATCH_BYTES = 16 << 20  # of texts, decoded: rows can be long documents
BUFFER_BYTES = 1 << 20
MAX_DICTIONARY_BYTES = 64 << 20


@dataclass(frozen=True)
class Part:
    """Consecutive row groups of a file, and the number of rows before them."""

    groups: tuple[int, ...]
    before: int


def read_parquet_rows(
    path: str, part: Part | None = None, selection: Selection = ALL_COLUMNS
) -> Iterator[Record | BadRow]:
    """Yield a record for each row of a file or of a part of it, numbered from 1, or the row's error.

    Raises:
        DataError: the file is not parquet, is damaged, or has a column of the wrong type.
        MissingExtra: pyarrow is not installed.
    """
    with _open_parquet(path, selection) as file:
        columns = [name for name in selection.needed if name in file.schema_arrow.names]
        groups, line = (None, 0) if part is None else (list(part.groups), part.before)
        size = _choose_batch_rows(file.metadata, columns)
        for batch in file.iter_batches(batch_size=size, columns=columns, row_groups=groups):
            for row in range(batch.num_rows):
                line += 1
                yield _record(batch, row, line, path)


def list_parquet_parts(path: str, rows: int, selection: Selection = ALL_COLUMNS) -> list[Part]:
    """List parts of a file that workers can read in parallel, each of at least ``rows`` rows if possible.

    Raises:
        DataError: the file is not parquet, or has a column of the wrong type.
        MissingExtra: pyarrow is not installed.
    """
    parts, groups, before, size = list[Part](), list[int](), 0, 0
    with _open_parquet(path, replace(selection, labels=False)) as file:
        for group in range(file.num_row_groups):
            groups.append(group)
            size += file.metadata.row_group(group).num_rows
            if size >= rows:
                parts.append(Part(tuple(groups), before))
                groups, before, size = [], before + size, 0
    return [*parts, Part(tuple(groups), before)] if groups else parts


def read_column_types(path: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the Arrow type of each of these columns of a file.

    Raises:
        DataError: the file is not parquet.
        MissingExtra: pyarrow is not installed.
    """
    with _open_parquet(path, Selection(labels=False, keep=tuple(names)), check=False) as file:
        schema = file.schema_arrow
        return {name: schema.field(name).type for name in names if schema.names.count(name) == 1}


@contextmanager
def _open_parquet(path: str, selection: Selection, *, check: bool = True) -> Iterator[Any]:
    arrow, parquet = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    try:
        metadata = parquet.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
        texts = [selection.names[role] for role in ("text", "text_pair")]
        if check:
            selection.check(schema.names, path)
            _check_types(schema, path, texts)
        dictionaries = _choose_dictionaries(metadata, texts)
        options = {"pre_buffer": False, "buffer_size": BUFFER_BYTES, "read_dictionary": dictionaries}
        with parquet.ParquetFile(path, metadata=metadata, **options) as file:
            yield file
    # Damaged metadata also fails in pyarrow's Python code: names that are not UTF-8, columns that do not exist.
    except (arrow.ArrowException, OSError, ValueError, LookupError, OverflowError) as error:
        raise DataError(f"{path}: not readable as parquet ({quote_error(error)})") from error


def _choose_batch_rows(metadata: Any, names: Sequence[str]) -> int:
    """Return how many rows to read at once, from the sizes of the columns."""
    longest = max((column.total_uncompressed_size // rows for column, rows in _list_chunks(metadata, names)), default=1)
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, longest)))


def _choose_dictionaries(metadata: Any, names: Sequence[str]) -> list[str]:
    """Return the text columns to read as dictionaries: a file of a few kB can hold one long text a million times.

    In large columns without repetition a dictionary takes memory.
    """
    sizes: dict[str, int] = {}
    for column, _ in _list_chunks(metadata, names):
        sizes[column.path_in_schema] = max(sizes.get(column.path_in_schema, 0), column.total_uncompressed_size)
    return [name for name, size in sizes.items() if size <= MAX_DICTIONARY_BYTES]


def _list_chunks(metadata: Any, names: Sequence[str]) -> Iterator[tuple[Any, int]]:
    """Yield these columns of each row group, and their number of rows."""
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema in names:
                yield column, max(1, group.num_rows)


def _record(batch: Any, row: int, line: int, path: str) -> Record | BadRow:
    try:
        values = {name: batch.column(name)[row].as_py() for name in batch.schema.names}
        return Record(line, {name: v.decode() if isinstance(v, bytes) else v for name, v in values.items()})
    except UnicodeDecodeError:
        return BadRow(path, line, "not valid UTF-8")
    except (ValueError, OverflowError) as error:  # of dates that Python cannot represent
        return BadRow(path, line, f"not readable ({quote_error(error)})")


def _check_types(schema: Any, path: str, texts: Sequence[str]) -> None:
    arrow, kinds = require("pyarrow", "parquet"), require("pyarrow.types", "parquet")
    text_kinds = (
        (kinds.is_string, kinds.is_large_string, kinds.is_string_view)
        + (kinds.is_binary, kinds.is_large_binary, kinds.is_binary_view)
        + (kinds.is_null,)
    )

    def is_text(kind: Any) -> bool:
        if kinds.is_dictionary(kind):
            return is_text(kind.value_type)
        if isinstance(kind, arrow.BaseExtensionType):
            return is_text(kind.storage_type)
        return any(is_kind(kind) for is_kind in text_kinds)

    for name in texts:
        if name in schema.names and not is_text(schema.field(name).type):
            raise DataError(f"{path}: column {name} holds {schema.field(name).type}, expected strings")
