"""Data files, read on workers: rows and what is wrong with rows, in order, as blocks."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert.data import Example, Part, list_parts, read_examples
from elbert.errors import BadRow, DataError

if TYPE_CHECKING:
    import pyarrow as pa


AT_ONCE = 1024  # rows of a table
TOGETHER = 16384  # rows that one task reads of a parquet file, or more
COLUMNS = ("text", "text_pair", "line", "bad")

Row = tuple[str | None, str | None, int | None, str | None]  # a row without a line is what is wrong with the file


def open_dataset(path: str) -> Any:
    """A Ray dataset of a data file that every machine of the cluster sees under this path.

    Its columns are ``text``, ``text_pair``, ``line``, and ``bad``: why a row cannot be used, or without a line, why
    the file cannot be read on.

    Raises:
        DataError: there is no such file here, or it cannot be read at all.
    """
    import ray.data

    whole = str(Path(path).expanduser().resolve())
    try:
        parts = list_parts(whole, TOGETHER)
    except DataError as error:
        raise DataError(str(error).replace(whole, path)) from error
    if not parts:
        return dataset_from_rows(iter(()))
    items = [{"part": number} for number in range(len(parts))]
    return ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        partial(tables, whole, parts), batch_size=None, batch_format="pyarrow"
    )


def dataset_from_rows(rows: Iterator[Row]) -> Any:
    """A Ray dataset of rows that only this process can read."""
    import ray.data

    return ray.data.from_arrow([*blocks(rows)] or [table(())])


def tables(path: str, parts: list[Part | None], numbers: pa.Table) -> Iterator[pa.Table]:
    """The parts of a file whose numbers come in, on a worker."""
    for number in numbers["part"].to_pylist():
        yield from blocks(rows(path, parts[number]))


def rows(path: str, part: Part | None, stdin: Any = None) -> Iterator[Row]:
    """Rows and bad rows in the order of the file; if the file cannot be read on, that is the last."""
    bad = list[BadRow]()
    try:
        if path != "-" and not Path(path).exists():
            raise DataError(f"no such file on {socket.gethostname()}; every machine must see it under this path")
        for example in read_examples(path, skip_bad=bad.append, stdin=stdin, part=part):
            yield from _told(bad)
            yield to_row(example)
        yield from _told(bad)
    except DataError as error:
        yield from _told(bad)
        yield None, None, None, str(error).removeprefix(f"{path}: ")


def to_row(example: Example) -> Row:
    """A row that can be used."""
    return example.text, example.text_pair, example.line, None


def blocks(rows: Iterable[Row]) -> Iterator[pa.Table]:
    """Tables of some rows each."""
    rest = iter(rows)
    while some := tuple(islice(rest, AT_ONCE)):
        yield table(some)


def table(rows: Iterable[Row]) -> pa.Table:
    """One table; its types do not depend on what is in it."""
    import pyarrow as pa

    types = (pa.string(), pa.string(), pa.int64(), pa.string())
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return pa.table({name: pa.array(c, t) for name, c, t in zip(COLUMNS, columns, types, strict=True)})


def _told(bad: list[BadRow]) -> Iterator[Row]:
    yield from ((None, None, row.line, row.why) for row in bad)
    bad.clear()
