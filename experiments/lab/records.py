"""Records of the studies: JSON objects by name, kept together in one parquet file.

One file, ``records.parquet``, with the columns ``name`` and ``record`` (JSON). Parquet because the project reads it
already, it is compressed, and a repository with one file is lighter than one with hundreds; JSON inside because the
records of a run, a study and a measurement have different fields.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from elbert._optional import require
from elbert.errors import DataError

FILE = "records.parquet"
Record = dict[str, Any]


@dataclass(frozen=True)
class Records:
    """The records in a folder. Names are like ``runs/BASE/SET/WAY-SEED``."""

    folder: Path

    @property
    def file(self) -> Path:
        """Where they are kept."""
        return self.folder / FILE

    def names(self, prefix: str = "") -> list[str]:
        """The names that begin with ``prefix``, sorted."""
        return sorted(name for name in self._texts() if name.startswith(prefix))

    def read(self, name: str) -> Record | None:
        """One record, or None where there is none.

        Raises:
            DataError: the file is damaged.
        """
        text = self._texts().get(name)
        return None if text is None else dict(json.loads(text))

    def write(self, name: str, record: Record) -> None:
        """Add or replace a record; the file is replaced as a whole, and other processes wait for their turn."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._write(self._texts() | {name: json.dumps(record, ensure_ascii=False)})

    def _texts(self) -> dict[str, str]:
        try:
            known = self.file.stat()
        except OSError:
            return {}
        return _read(self.file, known.st_mtime_ns, known.st_size)

    def _write(self, texts: dict[str, str]) -> None:
        arrow, parquet = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
        names = sorted(texts)
        table = arrow.table({"name": names, "record": [texts[name] for name in names]})
        temporary = self.file.with_name(f".{FILE}.{os.getpid()}")
        try:
            parquet.write_table(table, temporary, compression="zstd", compression_level=19)
            temporary.replace(self.file)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / ".records.lock").open("a") as file:
            if os.name == "posix":
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
            yield


@lru_cache(maxsize=4)
def _read(file: Path, modified: int, size: int) -> dict[str, str]:
    arrow, parquet = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    try:
        table = parquet.read_table(file)
    except (OSError, arrow.ArrowException) as error:  # an empty answer would let the next record replace all others
        raise DataError(f"{file} is damaged; restore it, or remove it to begin without records") from error
    return dict(zip(table["name"].to_pylist(), table["record"].to_pylist(), strict=True))
