"""Parquet files (extra ``parquet``), read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from elbert._optional import require
from elbert.data.records import Record
from elbert.data.tables import check_columns
from elbert.errors import BadRow, DataError

BATCH_ROWS = 1024
COLUMNS = ("text", "text_pair", "label")


@dataclass(frozen=True)
class Part:
    """Consecutive row groups of a file, and the number of rows before them."""

    groups: tuple[int, ...]
    before: int


def read_parquet_rows(path: str, part: Part | None = None) -> Iterator[Record | BadRow]:
    """Yield a record for each row of a file or of a part of it, numbered from 1, or the row's error.

    Raises:
        DataError: the file is not parquet, is damaged, or has a column of the wrong type.
        MissingExtra: pyarrow is not installed.
    """
    with _open_parquet(path) as file:
        columns = [name for name in COLUMNS if name in file.schema_arrow.names]
        groups, line = (None, 0) if part is None else (list(part.groups), part.before)
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns, row_groups=groups):
            for row in range(batch.num_rows):
                line += 1
                yield _record(batch, row, line, path)


def list_parquet_parts(path: str, rows: int) -> list[Part]:
    """List parts of a file that workers can read in parallel, each of at least ``rows`` rows if possible.

    Raises:
        DataError: the file is not parquet, or has a column of the wrong type.
        MissingExtra: pyarrow is not installed.
    """
    parts, groups, before, size = list[Part](), list[int](), 0, 0
    with _open_parquet(path) as file:
        for group in range(file.num_row_groups):
            groups.append(group)
            size += file.metadata.row_group(group).num_rows
            if size >= rows:
                parts.append(Part(tuple(groups), before))
                groups, before, size = [], before + size, 0
    return [*parts, Part(tuple(groups), before)] if groups else parts


@contextmanager
def _open_parquet(path: str) -> Iterator[Any]:
    arrow, parquet = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            check_columns(file.schema_arrow.names, path)
            _check_types(file.schema_arrow, path)
            yield file
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not readable as parquet ({error})") from error


def _record(batch: Any, row: int, line: int, path: str) -> Record | BadRow:
    try:
        return Record(line, {name: batch.column(name)[row].as_py() for name in batch.schema.names})
    except UnicodeDecodeError:
        return BadRow(path, line, "not valid UTF-8")


def _check_types(schema: Any, path: str) -> None:
    kinds = require("pyarrow.types", "parquet")

    def is_text(kind: Any) -> bool:
        kind = kind.value_type if kinds.is_dictionary(kind) else kind
        return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_null(kind))

    def is_label(kind: Any) -> bool:
        if kinds.is_list(kind) or kinds.is_large_list(kind):
            return is_text(kind.value_type) or bool(kinds.is_integer(kind.value_type))
        return is_text(kind) or bool(kinds.is_integer(kind) or kinds.is_floating(kind))

    for name, accepts, expected in (
        ("text", is_text, "strings"),
        ("text_pair", is_text, "strings"),
        ("label", is_label, "names, indices, numbers, or lists of names or indices"),
    ):
        if name in schema.names and not accepts(schema.field(name).type):
            raise DataError(f"{path}: column {name} holds {schema.field(name).type}, expected {expected}")
