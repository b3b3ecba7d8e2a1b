"""Atomic file writing: a file is written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from elbert.errors import InputError


@contextmanager
def open_atomic(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path`` for writing; rename it to ``path`` if the block raises no error.

    After an error the temporary file is deleted and an existing file at ``path`` is unchanged. Devices and pipes are
    written directly. Text is UTF-8.

    Raises:
        InputError: ``path`` is a folder, or the file cannot be created or written.
    """
    target = Path(os.path.realpath(path))  # a symbolic link is kept; its target is replaced
    if target.is_dir():
        raise InputError(f"{path}: a folder; expected the name of a file to write")
    special = target.exists() and not target.is_file()  # renaming a file to a device or a pipe would replace it
    partial = target if special else target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        out = partial.open(mode, encoding=None if "b" in mode else "utf-8")
    except OSError as error:
        raise _write_error(path, error) from error
    try:
        with out:
            yield out
        if not special:
            partial.replace(target)
    except BaseException as error:
        if not special:
            partial.unlink(missing_ok=True)
        if _is_write_error(error, partial):
            raise _write_error(path, error) from error
        raise


def _is_write_error(error: BaseException, partial: Path) -> bool:
    """Whether ``error`` concerns this file and not another file that the block uses.

    A failed write has no file name, so an error without one counts. A broken pipe does not: the reader closed it.
    """
    ours = isinstance(error, OSError) and error.filename in (None, str(partial))
    return ours and not isinstance(error, BrokenPipeError)


def _write_error(path: Path, error: BaseException) -> InputError:
    why = getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot be written ({why}); check the folder, its permissions and the free disk space")
