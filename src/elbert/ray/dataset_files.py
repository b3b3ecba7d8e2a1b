"""Data files as Ray datasets, read on workers: rows and the errors of bad rows, in order."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert.data import DEFAULT_COLUMNS, Columns, Example, Part, list_parts, read_examples
from elbert.errors import BadRow, DataError

if TYPE_CHECKING:
    import pyarrow as pa


TABLE_ROWS = 1024
PART_ROWS = 16384  # that one task reads of a parquet file, at least
COLUMNS = ("text", "text_pair", "line", "bad")

Row = tuple[str | None, str | None, int | None, str | None]  # text, pair, line, error; no line: an error of the file


def open_dataset(path: str, columns: Columns = DEFAULT_COLUMNS) -> Any:
    """A Ray dataset of a data file that every machine of the cluster sees under this path.

    Its columns are ``text``, ``text_pair``, ``line`` and ``bad``: the error of the row, or without a line, of the rest
    of the file.

    Raises:
        DataError: the file does not exist here, or cannot be read at all.
    """
    import ray.data

    absolute = str(Path(path).expanduser().resolve())
    try:
        parts = list_parts(absolute, PART_ROWS, columns)
    except DataError as error:
        raise DataError(str(error).replace(absolute, path)) from error
    if not parts:
        return dataset_from_rows(iter(()))
    items = [{"part": number} for number in range(len(parts))]
    return ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        partial(read_parts, absolute, parts, columns), batch_size=None, batch_format="pyarrow"
    )


def dataset_from_rows(rows: Iterator[Row]) -> Any:
    """A Ray dataset of rows that only this process can read."""
    import ray.data

    return ray.data.from_arrow([*to_tables(rows)] or [to_table(())])


def read_parts(path: str, parts: list[Part | None], columns: Columns, numbers: pa.Table) -> Iterator[pa.Table]:
    """Read the parts of a file with these numbers, on a worker."""
    for number in numbers["part"].to_pylist():
        yield from to_tables(read_rows(path, parts[number], columns=columns))


def read_rows(path: str, part: Part | None, stdin: Any = None, columns: Columns = DEFAULT_COLUMNS) -> Iterator[Row]:
    """Rows and bad rows in the order of the file; an error of the file itself is the last row."""
    try:
        if path != "-" and not Path(path).exists():
            raise DataError(f"no such file on {socket.gethostname()}; every machine must see it under this path")
        options: dict[str, Any] = {"stdin": stdin, "part": part, "labels": False, "columns": columns}
        yield from to_rows(lambda skip: read_examples(path, skip_bad=skip, **options))
    except DataError as error:
        yield None, None, None, str(error).removeprefix(f"{path}: ")


def to_rows(read: Callable[[Callable[[BadRow], None]], Iterator[Example]]) -> Iterator[Row]:
    """Rows and bad rows of examples, in order; ``read`` takes the function to which bad rows are passed."""
    bad = list[BadRow]()
    try:
        for example in read(bad.append):
            yield from _take_bad_rows(bad)
            yield example.text, example.text_pair, example.line, None
        yield from _take_bad_rows(bad)
    except DataError:
        yield from _take_bad_rows(bad)
        raise


def to_tables(rows: Iterable[Row]) -> Iterator[pa.Table]:
    """Group rows into tables."""
    rest = iter(rows)
    while some := tuple(islice(rest, TABLE_ROWS)):
        yield to_table(some)


def to_table(rows: Iterable[Row]) -> pa.Table:
    """One table. Its types are fixed, so that blocks with only nulls have the same schema."""
    import pyarrow as pa

    types = (pa.string(), pa.string(), pa.int64(), pa.string())
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return pa.table({name: pa.array(c, t) for name, c, t in zip(COLUMNS, columns, types, strict=True)})


def _take_bad_rows(bad: list[BadRow]) -> Iterator[Row]:
    yield from ((None, None, row.line, row.why) for row in bad)
    bad.clear()
