"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from elbert.errors import InputError


@contextmanager
def open_atomic(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing under a temporary name beside ``path``; it takes its place only if all went well.

    Raises:
        InputError: nothing can be written there.
    """
    target = Path(os.path.realpath(path))  # a link stays, and what it points to is written
    if target.is_dir():
        raise InputError(f"{path}: a folder; expected the name of a file to write")
    special = target.exists() and not target.is_file()  # a device or a pipe cannot be renamed onto
    partial = target if special else target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        out = partial.open(mode, encoding=None if "b" in mode else "utf-8")
    except OSError as error:
        raise _refused(path, error) from error
    try:
        with out:
            yield out
        if not special:
            partial.replace(target)
    except BaseException as error:
        if not special:
            partial.unlink(missing_ok=True)
        if _of_writing(error, partial):
            raise _refused(path, error) from error
        raise


def _of_writing(error: BaseException, partial: Path) -> bool:
    """Whether an error is of this file, and not of another that was open meanwhile: a failed write names no file."""
    ours = isinstance(error, OSError) and error.filename in (None, str(partial))
    return ours and not isinstance(error, BrokenPipeError)


def _refused(path: Path, error: BaseException) -> InputError:
    why = getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot be written ({why}); check the folder, its permissions and the space left")
