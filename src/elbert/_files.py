"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from elbert.errors import InputError


@contextmanager
def replaced(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing under a temporary name beside ``path``; it takes its place only if all went well.

    Raises:
        InputError: nothing can be written there.
    """
    if path.exists() and not path.is_file():
        if path.is_dir():
            raise InputError(f"{path}: a folder; expected the name of a file to write")
        partial = path  # a device or a pipe cannot be renamed onto
    else:
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        out = partial.open(mode, encoding=None if "b" in mode else "utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its permissions"
        ) from error
    try:
        with out:
            yield out
    except BaseException:
        if partial != path:
            partial.unlink(missing_ok=True)
        raise
    if partial != path:
        partial.replace(path)
