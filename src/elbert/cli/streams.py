"""The three standard streams, which may be closed, full, or in another encoding, and the file in place of one."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from elbert._display import clean_line


def prepare_streams() -> None:
    """Replace closed streams by the null device; write UTF-8 to files and pipes, and print warnings as one line."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - open as long as the process
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    warnings.showwarning = print_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8")


def open_stdin_copy() -> BinaryIO | None:
    """Return a separate reader of standard input, for a thread that may still wait for it when the process ends.

    Python closes its own reader at exit, and aborts if a thread is reading. None where standard input is not a file.
    """
    try:
        return open(os.dup(sys.stdin.fileno()), "rb")  # noqa: SIM115 - open as long as the process
    except (OSError, AttributeError):
        return None


def print_warning(message: Warning | str, *where: object, **more: object) -> None:
    """Print a warning without the file and line of the code that raised it."""
    print_note(f"warning: {message}")


def print_note(text: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(f"elbert: {clean_line(text)}\n")


def flush_stdout() -> None:
    """Write buffered output; if that fails, discard it, because Python would report it again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def open_output(path: Path | None) -> Iterator[IO[Any]]:
    """Open the file of ``--output``, which is written whole or not at all, or standard output."""
    if path is None:
        yield sys.stdout
        return
    from elbert._atomic import open_atomic

    with open_atomic(path, "wb" if path.suffix.lower() == ".parquet" else "w") as out:
        yield out
