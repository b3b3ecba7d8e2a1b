"""Atomic file writing: a file is written completely or not at all, and never over an input."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from elbert.errors import InputError

MAX_LINKS = 40  # of a chain of symbolic links, as in Linux
OPEN_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def open_atomic(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path`` for writing; rename it to ``path`` if the block raises no error.

    After an error the temporary file is deleted and an existing file at ``path`` is unchanged. The temporary file has
    an unpredictable name and is created only if nothing has that name, so that two writers never share it and a link
    is never followed. A replaced file keeps its permissions. Devices, pipes and open descriptors (``/dev/stdout``,
    ``/dev/fd/63``) are written directly. Text is UTF-8.

    Raises:
        InputError: ``path`` is a folder or a read-only file, or the file cannot be created or written.
    """
    encoding = None if "b" in mode else "utf-8"
    if names_folder(path):
        raise InputError(f"{path or 'empty'}: a folder; expected the name of a file to write")
    path = Path(path)
    try:
        special = _open_special(path, mode, encoding)
    except OSError as error:
        raise write_error(path, error) from error
    if special is not None:
        try:
            with special:
                yield special
        except OSError as error:
            if _is_write_error(error, None):
                raise write_error(path, error) from error
            raise
        return
    target = Path(os.path.realpath(path))  # a symbolic link is kept; its target is replaced
    if target.exists() and not os.access(target, os.W_OK):
        raise InputError(f"{path}: read-only; choose another name, or change its permissions")
    partial = target.with_name(f".elbert-{secrets.token_hex(8)}.partial")
    try:
        descriptor = os.open(partial, OPEN_NEW, 0o666)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        with os.fdopen(descriptor, mode, encoding=encoding) as out:
            _copy_permissions(target, partial)
            yield out
            out.flush()
            os.fsync(out.fileno())  # before the rename: after a crash the name would hold an incomplete file
        partial.replace(target)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if _is_write_error(error, partial):
            raise write_error(path, error) from error
        raise


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files that belong together: all are complete on the disk before the first has its name.

    Names may have folders. After an error none of the files is new, and folders that this call created are removed.

    Raises:
        InputError: a folder or a file cannot be written.
    """
    created: list[Path] = []
    try:
        with ExitStack() as files:
            for name, content in contents.items():
                _make_folder((folder / name).parent, created)
                out = files.enter_context(open_atomic(folder / name, "wb"))
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
    except BaseException:
        for each in reversed(created):
            with suppress(OSError):  # another process has written there
                each.rmdir()
        raise


def _make_folder(folder: Path, created: list[Path]) -> None:
    """Create a folder and those above it, and add what is new to ``created``, the outermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        try:
            each.mkdir()
        except OSError as error:
            raise InputError(f"{each}: the folder cannot be created ({error.strerror}); choose another") from error
        created.append(each)


def names_folder(path: Path | str) -> bool:
    """Return whether a path is a folder, or is the name of one: it ends in a slash, or is empty."""
    name = os.fspath(path)
    return not name or name.endswith((os.sep, os.altsep or os.sep)) or os.path.isdir(name)


def check_not_input(output: Path, inputs: Iterable[Path | str | None]) -> None:
    """Check that writing ``output`` replaces none of the files ``inputs``; links are followed.

    Raises:
        InputError: ``output`` is one of them.
    """
    for file in inputs:
        with suppress(OSError):  # one of them does not exist
            if file is not None and os.path.samefile(output, file) and Path(file).is_file():
                raise InputError(f"{output}: is also an input ({file}) and would be replaced; choose another name")


def _open_special(path: Path, mode: str, encoding: str | None) -> IO[Any] | None:
    """Open a descriptor, a device or a pipe; None for a regular file or a new name.

    A descriptor of this process is duplicated: opening its name again would cut off what a file already has, and
    fails for sockets.
    """
    descriptor = _find_descriptor(path)
    if descriptor is not None:
        return os.fdopen(os.dup(descriptor), mode, encoding=encoding)
    try:
        kind = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(kind):
        return None
    return open(path, mode, encoding=encoding)


def _find_descriptor(path: Path) -> int | None:
    """Return the descriptor of this process that ``path`` names, directly or by symbolic links; else None."""
    name = os.path.abspath(path)
    for _ in range(MAX_LINKS):
        found = re.fullmatch(rf"/dev/fd/(\d+)|/proc/(?:self|thread-self|{os.getpid()})/fd/(\d+)", name)
        if found:
            return int(found[1] or found[2])
        if not os.path.islink(name):
            return None
        name = os.path.normpath(os.path.join(os.path.dirname(name), os.readlink(name)))
    return None


def _copy_permissions(target: Path, partial: Path) -> None:
    """Give the new file the permissions of the file that it replaces, and its owner where that is allowed."""
    if not target.exists():
        return
    found = target.stat()
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(partial, found.st_uid, found.st_gid)
    os.chmod(partial, stat.S_IMODE(found.st_mode))


def _is_write_error(error: BaseException, partial: Path | None) -> bool:
    """Whether ``error`` concerns this file and not another file that the block uses.

    A failed write has no file name, so an error without one counts. A broken pipe does not: the reader closed it.
    """
    ours = isinstance(error, OSError) and error.filename in (None, str(partial))
    return ours and not isinstance(error, BrokenPipeError)


def write_error(path: Path, error: BaseException) -> InputError:
    """Return the error of a file or folder that cannot be written, with the reason of the system."""
    why = getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot be written ({why}); check the folder, its permissions and the free disk space")
